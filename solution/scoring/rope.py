"""Rotary embeddings whose frequencies depend on the longest position computed together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

# Types of transformers that change frequencies beyond the length of pretraining.
DYNAMIC_TYPES = {"longrope", "su", "dynamic"}


def original_length(config: Any) -> int | None:
    """Return the length up to which rows share frequencies; None where all rows always do."""
    settings = config.get_text_config()
    limits = []
    for name in ("rope_parameters", "rope_scaling"):
        for one in _parameters(getattr(settings, name, None)):
            if (one.get("rope_type") or one.get("type")) in DYNAMIC_TYPES:
                limits.append(
                    one.get("original_max_position_embeddings")
                    or getattr(settings, "original_max_position_embeddings", None)
                    or settings.max_position_embeddings
                )
    return min(limits, default=None)


def reset(model: Any) -> None:
    """Forget the longest row so far, whose frequencies transformers keeps for later ones."""
    for module in model.modules():
        for name in [name for name in vars(module) if name.endswith("max_seq_len_cached")]:
            prefix = name.removesuffix("max_seq_len_cached")
            original = getattr(module, f"{prefix}original_inv_freq", None)
            if original is not None and hasattr(module, "original_max_seq_len"):
                setattr(module, name, module.original_max_seq_len)
                module.register_buffer(f"{prefix}inv_freq", original, persistent=False)


def _parameters(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the parameters of a model, or those of each type of layer."""
    if not isinstance(value, dict):
        return
    yield value
    for item in value.values():
        if isinstance(item, dict):
            yield item
