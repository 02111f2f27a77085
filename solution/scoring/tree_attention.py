"""Attention over a prefix tree: every token attends to its own prefix and to nothing else.

The function replaces a model's attention (through transformers' AttentionInterface) while a
tree is scored. Linear layers see one long sequence without padding, and attention computes each
block against its own ancestors only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from solution.scoring.tree_batch import PIECE_TOKENS, AttentionBlock, TreeBatch

if TYPE_CHECKING:
    from torch import Tensor

NAME = "exam_tree"
# The batch that is being computed: attention functions get no argument that could carry it.
_active_batch: list[TreeBatch] = []


class UnsupportedAttention(Exception):
    """The model passes an attention argument that tree attention does not implement."""


@contextmanager
def use_tree_attention(config: Any, batch: TreeBatch) -> Iterator[None]:
    """Make the model with this config compute attention for `batch` within the context."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, tree_attention)
    before = config._attn_implementation
    _active_batch.append(batch)
    try:
        config._attn_implementation = NAME
        yield
    finally:
        config._attn_implementation = before
        _active_batch.pop()


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

    unsupported = ("s_aux", "position_bias", "head_mask")
    if others.get("dropout") or any(others.get(name) is not None for name in unsupported):
        raise UnsupportedAttention
    batch = _active_batch[-1]
    outputs = []
    for block in batch.blocks:
        keys, values = _visible(module, key, value, block)
        part = query[:, :, block.start : block.stop]
        if softcap is None and block.is_causal(sliding_window):
            output = _attend(part, keys, values, mask=None, scaling=scaling, softcap=None)
            outputs.append(output.transpose(1, 2))
            continue
        # In pieces: scores and masks of a whole run would grow with its square.
        for first in range(0, part.shape[2], PIECE_TOKENS):
            last = min(first + PIECE_TOKENS, part.shape[2])
            seen = block.prefix_length + last
            mask = batch.mask(block, sliding_window, query, first, last)
            piece = part[:, :, first:last], keys[:, :, :seen], values[:, :, :seen]
            output = _attend(*piece, mask=mask, scaling=scaling, softcap=softcap)
            outputs.append(output.transpose(1, 2))
    if batch.kv_cache is not None:
        batch.kv_cache[module] = (key, value)
    return torch.cat(outputs, 1), None  # the blocks cover the sequence in its order


def _visible(
    module: Any, key: Tensor, value: Tensor, block: AttentionBlock
) -> tuple[Tensor, Tensor]:
    """Return the keys and values of a block's prefix and of the block itself."""
    import torch

    spans = [(span.kv_cache, span.start, span.stop) for span in block.prefix]
    if spans and spans[-1][0] is None and spans[-1][2] == block.start:
        spans[-1] = (None, spans[-1][1], block.stop)
    else:
        spans.append((None, block.start, block.stop))
    parts = [((key, value) if cache is None else cache[module], a, b) for cache, a, b in spans]
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
    # The CPU kernel shares keys within a group; GPU kernels with a mask do not.
    enable_gqa = groups > 1 and softcap is None and query.device.type == "cpu"
    if groups > 1 and not enable_gqa:
        key = key.repeat_interleave(groups, 1)
        value = value.repeat_interleave(groups, 1)
    if softcap is None:
        return torch.nn.functional.scaled_dot_product_attention(
            query,
            key,
            value,
            mask,
            is_causal=mask is None,
            scale=scaling,
            enable_gqa=enable_gqa,
        )
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    scores = (query @ key.transpose(2, 3)).float() * scale
    scores = (scores / softcap).tanh() * softcap + cast("Tensor", mask)
    return scores.softmax(-1).to(value.dtype) @ value
