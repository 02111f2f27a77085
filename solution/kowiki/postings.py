"""The matrix that bm25s searches, made on disk in two passes over the passages.

bm25s.BM25.index holds every token of every passage as Python numbers, which for the whole wiki
is far more than 1 GiB; here a batch of passages is held at a time. The files and the numbers in
them are those of bm25s (method "lucene").
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from solution.core import UserError
from solution.kowiki.analyse import CODE_BITS, Tokens

# Passages a batch: their number and a token's must fit into one 64-bit key together.
BATCH = 1 << (64 - CODE_BITS)
_SHIFT, _MASK = np.uint64(64 - CODE_BITS), np.uint64(BATCH - 1)
# Entries of vocabularies that are kept apart before they are merged.
_PENDING = 8_000_000


class Counted(NamedTuple):
    """What the first pass found: the vocabulary in order and how many passages hold each."""

    vocabulary: np.ndarray
    frequencies: np.ndarray
    lengths: np.ndarray


def count(batches: Iterable[Tokens], folder: Path) -> Counted:
    """First pass: keep each batch's (token, passage, count) in `folder`, sorted by token."""
    pending: list[tuple[np.ndarray, np.ndarray]] = []
    lengths: list[np.ndarray] = []
    for number, (codes, sizes) in enumerate(batches):
        rows = np.repeat(np.arange(len(sizes), dtype=np.uint64), sizes)
        keys, times = _runs(np.sort(codes << _SHIFT | rows))
        np.save(folder / f"keys-{number:05d}.npy", keys)
        np.save(folder / f"times-{number:05d}.npy", np.minimum(times, 255).astype(np.uint8))
        pending.append(_runs(keys >> _SHIFT))
        lengths.append(sizes)
        if sum(len(tokens) for tokens, _ in pending) > _PENDING:
            pending = [_merge(pending)]
    if not lengths or not sum(len(tokens) for tokens, _ in pending):
        raise UserError("No passage holds a word, so there is nothing to search.")
    vocabulary, frequencies = _merge(pending)
    return Counted(vocabulary, frequencies, np.concatenate(lengths))


def _runs(ordered: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different values of a sorted array and how often each stands there."""
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    starts = starts[: len(ordered)]
    return ordered[starts], np.diff(starts, append=len(ordered))


def _merge(pending: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    tokens = np.concatenate([tokens for tokens, _ in pending])
    order = np.argsort(tokens, kind="stable")
    ordered = tokens[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    numbers = np.concatenate([numbers for _, numbers in pending])[order]
    return ordered[starts], np.add.reduceat(numbers, starts)


def write(counted: Counted, parts: Path, folder: Path, k1: float, b: float) -> None:
    """Second pass: the scores of every (token, passage) in bm25s's files, column by column."""
    bounds = np.concatenate([[0], np.cumsum(counted.frequencies)])
    np.save(folder / "indptr.csc.index.npy", bounds)
    np.save(folder / "vocabulary.npy", counted.vocabulary)
    entries = int(bounds[-1])
    scores = _open(folder / "data.csc.index.npy", np.float32, entries)
    passages = _open(folder / "indices.csc.index.npy", np.int32, entries)
    rarity = weights(counted.frequencies, len(counted.lengths))
    norms = k1 * (1 - b + b * counted.lengths / counted.lengths.mean())
    free = bounds[:-1].copy()
    for number, path in enumerate(sorted(parts.glob("keys-*.npy"))):
        keys = np.load(path)
        times = np.load(path.with_name(path.name.replace("keys", "times"))).astype(np.float64)
        tokens, sizes = _runs(keys >> _SHIFT)
        columns = np.searchsorted(counted.vocabulary, tokens)
        rows = (keys & _MASK).astype(np.int64) + number * BATCH
        within = np.arange(len(keys)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        places = np.repeat(free[columns], sizes) + within
        passages[places] = rows
        scores[places] = np.repeat(rarity[columns], sizes) * (times / (norms[rows] + times))
        free[columns] += sizes
    scores.flush()
    passages.flush()


def weights(frequencies: np.ndarray, passages: int) -> np.ndarray:
    """Lucene's inverse document frequency."""
    return np.asarray(np.log1p((passages - frequencies + 0.5) / (frequencies + 0.5)))


def _open(path: Path, dtype: Any, entries: int) -> Any:
    return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=(entries,))
