"""PEFT adapters: safetensors only, and only on the base they were made for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from solution.core import UserError, resolve_path
from solution.models.failures import explained
from solution.models.reference import hub_reachable, locate

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"


def attach_adapter(model: Any, name: str) -> Any:
    """The model with the adapter of a folder or hub id on it.

    Raises UserError where the adapter is absent, kept as pickle, or made for another base.
    """
    from peft import PeftModel

    with explained(f"adapter {name}"):
        folder = locate(name, "adapter") or _download(name)
    settings = _settings(folder, name)
    _check_base(model, settings, name)
    _check_kind(settings, name)
    try:
        adapted = PeftModel.from_pretrained(model, str(folder), is_trainable=False)
    except (RuntimeError, ValueError, TypeError) as error:
        raise _other_base(name, settings, str(error).strip().splitlines()[-1]) from error
    _check_keys(adapted, folder, settings, name)
    return adapted


def _download(name: str) -> Path:
    from huggingface_hub import snapshot_download

    offline = not hub_reachable()
    return Path(
        snapshot_download(name, allow_patterns=[CONFIG, WEIGHTS], local_files_only=offline)
    )


def _settings(folder: Path, name: str) -> dict[str, Any]:
    try:
        settings = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"adapter {name}: no {CONFIG}, so this is no PEFT adapter.") from error
    except ValueError as error:
        raise UserError(f"adapter {name}: {CONFIG} is not valid JSON: {error}") from error
    if not (folder / WEIGHTS).is_file():
        raise UserError(
            f"adapter {name}: no {WEIGHTS}; pickle weights (adapter_model.bin) are not loaded. "
            "Save the adapter again with save_pretrained(), which writes safetensors."
        )
    return dict(settings)


def _check_kind(settings: dict[str, Any], name: str) -> None:
    from peft import PeftType

    kind = settings.get("peft_type")
    if kind not in set(PeftType):
        raise UserError(f"adapter {name}: {kind} is no kind of adapter that PEFT here knows.")


def _check_base(model: Any, settings: dict[str, Any], name: str) -> None:
    """Compare architectures where the adapter's base is at hand; loading compares shapes."""
    base = resolve_path(str(settings.get("base_model_name_or_path"))) / "config.json"
    if not base.is_file():
        return
    kind = json.loads(base.read_text(encoding="utf-8")).get("model_type")
    if kind != model.config.model_type:
        raise _other_base(name, settings, f"a {kind} model, not {model.config.model_type}")


def _check_keys(adapted: Any, folder: Path, settings: dict[str, Any], name: str) -> None:
    """PEFT silently drops weights that have no place and starts missing ones afresh."""
    from peft import get_peft_model_state_dict
    from safetensors import safe_open

    with safe_open(folder / WEIGHTS, framework="pt") as file:
        given = set(file.keys())
    expected = set(get_peft_model_state_dict(adapted, save_embedding_layers=False))
    embeddings = {key for key in given if "embed" in key or "lm_head" in key}
    strange = (given ^ expected) - embeddings
    if strange:
        raise _other_base(name, settings, f"{len(strange)} weights differ, {min(strange)}, …")


def _other_base(name: str, settings: dict[str, Any], detail: str) -> UserError:
    base = settings.get("base_model_name_or_path")
    return UserError(
        f"adapter {name} does not fit this model ({detail}). "
        f"It was made for {base}: give that model, or another adapter."
    )
