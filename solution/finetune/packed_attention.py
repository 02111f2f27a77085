"""Attention over packed sequences: several in one row, each attending only to itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from solution.scoring import AttentionBlock, TreeBatch, causal_of, use_tree_attention

# Largest difference of logits between packed and unpacked, relative to their range.
TOLERANCE = {"torch.float32": 1e-4, "torch.float16": 2e-2, "torch.bfloat16": 1e-1}

# Largest leak, relative to what tokens of a pair that is not isolated do to each other.
MAX_LEAK = 0.25


@contextmanager
def packed_attention(model: Any, lengths: Sequence[int]) -> Iterator[None]:
    """Let `model` attend within sequences of these lengths, which lie in one row.

    Attention is computed per sequence, without a mask. Layers that the backward pass recomputes
    must run within the context too.
    """
    batch, start = TreeBatch(), 0
    for length in lengths:
        positions, ends = list(range(length)), [length] * length
        batch.blocks.append(AttentionBlock(start, start + length, (), positions, ends))
        start += length
    with use_tree_attention(causal_of(model).base_model.config, batch):
        yield


def packed_kwargs(model: Any, lengths: Sequence[int]) -> dict[str, Any]:
    """Return the arguments by which Unsloth's GPU attention isolates packed sequences."""
    import torch

    device = next(model.parameters()).device
    if device.type != "cuda":
        return {}
    return {"packed_seq_lengths": torch.tensor(lengths, dtype=torch.int32, device=device)}


def packing_is_isolated(model: Any, first: Sequence[int], second: Sequence[int]) -> bool:
    """Return whether the last logits of `second` are the same after `first` and alone.

    Some models mix tokens outside attention, patched ones may ignore it, and dropout inside
    attention is not supported. The difference is compared with that of a pair which is not
    isolated: in 16 bit, rounding alone may be as large as a leak in another model.
    """
    import torch

    device = next(model.parameters()).device
    lengths = [len(first), len(second)]
    ids = torch.tensor([[*first, *second]], device=device)
    positions = torch.tensor([[*range(lengths[0]), *range(lengths[1])]], device=device)
    training = model.training
    model.eval()

    def packed() -> Any:
        with packed_attention(model, lengths):
            extra = packed_kwargs(model, lengths)
            options = {"position_ids": positions, "use_cache": False, **extra}
            return model(input_ids=ids, **options).logits[0, -1].float()

    try:
        with torch.no_grad():
            alone = model(input_ids=ids[:, lengths[0] :], use_cache=False).logits[0, -1]
            crossed = model(input_ids=ids, use_cache=False).logits[0, -1].float()
            both = packed()
            model.train()  # where dropout of the attention would be asked for
            packed()
    except Exception:  # a model that does not support the arguments does not support packing
        return False
    finally:
        model.train(training)
    value_range = float(alone.max() - alone.min()) or 1.0
    leak = float((both - alone.float()).abs().max())
    contamination = float((crossed - alone.float()).abs().max())
    within = leak <= TOLERANCE.get(str(alone.dtype), 1e-1) * value_range
    return within and leak <= max(MAX_LEAK * contamination, 1e-5 * value_range)
