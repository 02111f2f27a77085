"""Sequences that lie side by side in one row and see nothing of each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from solution.scoring.lm_head import causal_of
from solution.scoring.tree_attention import use_tree_attention
from solution.scoring.tree_batch import AttentionBlock, TreeBatch

# Largest difference between a sequence's logits beside others and alone, as a share of spread.
TOLERANCE = {"torch.float32": 1e-4, "torch.float16": 2e-2, "torch.bfloat16": 1e-1}


@contextmanager
def side_by_side(model: Any, lengths: Sequence[int]) -> Iterator[None]:
    """Let `model` read sequences of these lengths in one row as if each were alone.

    Attention is computed sequence by sequence, so that neighbours cost nothing and no mask is
    needed. The layers that a backward pass computes again have to be computed within, too.
    """
    layout, start = TreeBatch(), 0
    for length in lengths:
        block = AttentionBlock(
            start, start + length, (), list(range(length)), [length] * length
        )
        layout.blocks.append(block)
        start += length
    with use_tree_attention(causal_of(model).base_model.config, layout):
        yield


def packed_arguments(model: Any, lengths: Sequence[int]) -> dict[str, Any]:
    """What Unsloth's own attention on a GPU is told about neighbours; others do not ask."""
    import torch

    device = next(model.parameters()).device
    if device.type != "cuda":
        return {}
    return {"packed_seq_lengths": torch.tensor(lengths, dtype=torch.int32, device=device)}


def keeps_apart(model: Any, first: Sequence[int], second: Sequence[int]) -> bool:
    """Whether a sequence's last logits are the same beside a neighbour and alone.

    Tried on the model itself, because some mix tokens outside attention, and some patched ones
    ignore functions and arguments.
    """
    import torch

    if getattr(model.config.get_text_config(), "attention_dropout", 0):
        return False
    device = next(model.parameters()).device
    lengths = [len(first), len(second)]
    ids = torch.tensor([[*first, *second]], device=device)
    places = torch.tensor([[*range(lengths[0]), *range(lengths[1])]], device=device)
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            alone = model(input_ids=ids[:, lengths[0] :], use_cache=False).logits[0, -1]
            with side_by_side(model, lengths):
                extra = packed_arguments(model, lengths)
                both = model(input_ids=ids, position_ids=places, use_cache=False, **extra)
    except Exception:  # whatever a foreign model raises here, it does not keep them apart
        return False
    finally:
        model.train(training)
    spread = float(alone.max() - alone.min()) or 1.0
    apart = float((both.logits[0, -1] - alone).abs().max())
    return apart <= TOLERANCE.get(str(alone.dtype), 1e-1) * spread
