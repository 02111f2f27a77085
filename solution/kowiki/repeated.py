"""Texts that repeat an earlier one in nearly the same words, by MinHash."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from solution.core import Mapper, map_here
from solution.kowiki.material import shards

GRAM = 4
ALIKE = 0.8
"""Share of character 4-grams in common (Jaccard) from which two texts are one."""
BANDS, ROWS = 16, 4
# Pairs this much alike share a band with probability 1 - (1 - 0.8^4)^16 = 0.9998.
_PRIME = (1 << 31) - 1


class Signed(NamedTuple):
    """A text's 4-grams as sorted hashes, and a key for each band of its signature."""

    grams: NDArray[np.int64]
    keys: list[tuple[int, bytes]]


def repeated(texts: Sequence[str], where: Mapper = map_here) -> list[bool]:
    """For each text whether an earlier one that is not itself a repetition is nearly equal.

    Candidates come from banded MinHash signatures (Broder 1997), the verdict from the exact
    Jaccard index of the 4-grams without blanks.
    """
    rng = np.random.default_rng(0)
    factors = rng.integers(1, _PRIME, (BANDS * ROWS, 1), dtype=np.int64)
    shifts = rng.integers(0, _PRIME, (BANDS * ROWS, 1), dtype=np.int64)
    signed = list(chain.from_iterable(where(_sign, shards(texts), (factors, shifts))))
    buckets: defaultdict[tuple[int, bytes], list[int]] = defaultdict(list)
    found = []
    for place, (own, keys) in enumerate(signed):
        near = {other for key in keys for other in buckets.get(key, ())}
        known = any(_jaccard(own, signed[other].grams) >= ALIKE for other in near)
        found.append(known)
        if not known:
            for key in keys:
                buckets[key].append(place)
    return found


def _sign(
    texts: Sequence[str], shared: tuple[NDArray[np.int64], NDArray[np.int64]]
) -> list[Signed]:
    factors, shifts = shared
    found = []
    for text in texts:
        codes = np.array(sorted(_grams(text)), dtype=np.int64)
        signature = ((factors * codes + shifts) % _PRIME).min(axis=1).reshape(BANDS, ROWS)
        keys = [(band, row.tobytes()) for band, row in enumerate(signature)]
        found.append(Signed(codes, keys))
    return found


def _grams(text: str) -> frozenset[int]:
    """Hashes below 2^31 of the 4-grams; one of the whole where it is shorter."""
    whole = "".join(text.split())
    parts = [whole[i : i + GRAM] for i in range(max(1, len(whole) - GRAM + 1))]
    return frozenset(zlib.crc32(part.encode()) & _PRIME for part in parts)


def _jaccard(first: NDArray[np.int64], second: NDArray[np.int64]) -> float:
    both = len(np.intersect1d(first, second, assume_unique=True))
    return both / (len(first) + len(second) - both)
