"""Attention over a prefix tree: every branch sees what leads to it, and nothing beside it.

The function takes the place of a model's own attention (the interface of transformers) while a
tree is scored. Linear layers then see one long sequence without padding, whatever the tree's
form, and attention computes each block against its own ancestors only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from solution.scoring.layout import Block, Layout

if TYPE_CHECKING:
    from torch import Tensor

NAME = "exam_tree"
# The layout of the sequence that is being computed; one at a time.
_now: list[Layout] = []


class NotHonoured(Exception):
    """The model asks of its attention what the tree's does not do."""


@contextmanager
def attending(config: Any, layout: Layout) -> Iterator[None]:
    """Let the model of this config attend as the layout says, and then as before."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, tree_attention)
    before = config._attn_implementation
    _now.append(layout)
    try:
        config._attn_implementation = NAME
        yield
    finally:
        config._attn_implementation = before
        _now.pop()


def tree_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    _mask: Tensor | None,
    *,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """Attend block by block: query (1, heads, T, width) -> (1, T, heads, width)."""
    import torch

    if any(others.get(name) is not None for name in ("s_aux", "position_bias", "head_mask")):
        raise NotHonoured
    if others.get("dropout"):
        raise NotHonoured
    layout = _now[-1]
    parts = []
    for block in layout.blocks:
        keys, values = _seen(module, key, value, block)
        part = query[:, :, block.start : block.stop]
        if softcap is None and block.is_plain(sliding_window):
            mask = None
        else:
            mask = layout.mask(block, sliding_window, query)
        given = _attend(part, keys, values, mask=mask, scaling=scaling, softcap=softcap)
        parts.append(given.transpose(1, 2))
    if layout.kept is not None:
        layout.kept[module] = (key, value)
    return torch.cat(parts, 1), None  # the blocks cover the sequence in its order


def _seen(module: Any, key: Tensor, value: Tensor, block: Block) -> tuple[Tensor, Tensor]:
    """The keys and values of what leads to a block and of the block itself."""
    import torch

    spans = [(span.kept, span.start, span.stop) for span in block.before]
    if spans and spans[-1][0] is None and spans[-1][2] == block.start:
        spans[-1] = (None, spans[-1][1], block.stop)
    else:
        spans.append((None, block.start, block.stop))
    parts = [((key, value) if kept is None else kept[module], a, b) for kept, a, b in spans]
    keys = [pair[0][:, :, a:b] for pair, a, b in parts]
    values = [pair[1][:, :, a:b] for pair, a, b in parts]
    if len(parts) == 1:
        return keys[0], values[0]
    return torch.cat(keys, 2), torch.cat(values, 2)


def _attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    mask: Tensor | None,
    scaling: float | None,
    softcap: float | None,
) -> Tensor:
    import torch

    groups = query.shape[1] // key.shape[1]
    # A CPU's kernel shares the keys of a group; a GPU's kernels with a mask can't.
    sharing = groups > 1 and softcap is None and query.device.type == "cpu"
    if groups > 1 and not sharing:
        key = key.repeat_interleave(groups, 1)
        value = value.repeat_interleave(groups, 1)
    if softcap is None:
        own = mask is None
        return torch.nn.functional.scaled_dot_product_attention(
            query, key, value, mask, is_causal=own, scale=scaling, enable_gqa=sharing
        )
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    scores = (query @ key.transpose(2, 3)).float() * scale
    scores = (scores / softcap).tanh() * softcap + cast("Tensor", mask)
    return scores.softmax(-1).to(value.dtype) @ value
