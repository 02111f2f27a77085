"""Check whether a model computes branches of a prefix tree as it computes each alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from solution.core import log
from solution.scoring.lm_head import (
    VOCAB_CHUNK,
    LogitReader,
    evaluation_mode,
    make_reader,
    probe_ids,
    within_tolerance,
)
from solution.scoring.prefix_tree import Ids, Read, build_prefix_tree, mark_read, sum_subtrees
from solution.scoring.tree_batch import TreeBatch

if TYPE_CHECKING:
    from torch import Tensor

# Small, so that the little tree of the check takes several blocks.
PROBE_BLOCK_TOKENS = 4
# Layer types that mix tokens in attention only, where branches can be separated.
SUPPORTED_LAYERS = {"full_attention", "sliding_attention"}

# Model -> result of the check.
_supported: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()


def supports_tree_attention(reader: LogitReader) -> bool:
    """Return whether the model computes branches side by side as it computes each alone.

    Checked once on a small tree. Models whose layers mix tokens outside attention do not, nor
    do patched models that ignore attention functions (Unsloth's on a GPU).
    """
    if reader.head is None:
        return False
    if reader.model not in _supported:
        _supported[reader.model] = _branches_agree(reader)
        if not _supported[reader.model]:
            log(
                "Prefix sharing disabled (slower): this model mixes tokens outside attention "
                "(8-bit weights do) or ignores attention functions, so each prompt is computed "
                "by itself."
            )
    return _supported[reader.model]


def attention_path(model: Any) -> str:
    """Return how a model is computed: over a prefix tree, or each prompt by itself."""
    with evaluation_mode(model):
        return (
            "prefix tree" if supports_tree_attention(make_reader(model)) else "single prompts"
        )


def _branches_agree(reader: LogitReader) -> bool:
    import torch

    # LLM.int8 chooses columns by the largest values of all tokens computed together.
    if any(type(one).__name__ == "Linear8bitLt" for one in reader.model.modules()):
        return False
    settings = reader.decoder.config.get_text_config()
    kinds = set(getattr(settings, "layer_types", None) or ())
    if not kinds <= SUPPORTED_LAYERS or getattr(settings, "attention_chunk_size", None):
        return False
    ids = probe_ids(reader.model, 21)
    stem = ids[:16]
    paths = [
        stem + ids[16:19] * 2,
        stem[::-1] + ids[:2],
        stem + ids[:5],
        stem[:10] + ids[:1] * 4,
    ]
    try:
        branched = _end_states(reader, paths)
    except Exception:  # whatever third-party code raises here, it does not support the tree
        return False
    alone = torch.cat([reader.forward_row(path, 1) for path in paths])
    found, expected = (_logits(reader, states) for states in (branched, alone))
    return within_tolerance(found, expected, str(alone.dtype))


def _end_states(reader: LogitReader, paths: Sequence[Ids]) -> Tensor:
    """Return the last hidden state of some paths that are computed as one tree."""
    import torch

    roots, ends = build_prefix_tree(paths)
    for i, (path, end) in enumerate(zip(paths, ends, strict=True)):
        mark_read(end, Read(len(path) - 1, i, 0))
    sum_subtrees(roots)
    batch = TreeBatch()
    batch.add_trees(roots, (), PROBE_BLOCK_TOKENS)
    states = reader.forward_tree(batch, [read.position for read in batch.reads])
    order = torch.tensor([read.request for read in batch.reads], device=states.device)
    return states[order.argsort()]


def _logits(reader: LogitReader, states: Tensor) -> Tensor:
    import torch

    chunks = [chunk for _, chunk in reader.iter_vocab_chunks(states, VOCAB_CHUNK)]
    return torch.cat(chunks, -1)
