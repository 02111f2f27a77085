"""Texts that repeat an earlier one in nearly the same words, by MinHash."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

GRAM = 4
ALIKE = 0.8
"""Share of character 4-grams in common (Jaccard) from which two texts are one."""
BANDS, ROWS = 16, 4
# Pairs this much alike share a band with probability 1 - (1 - 0.8^4)^16 = 0.9998.
_PRIME = (1 << 31) - 1


def repeated(texts: Sequence[str]) -> list[bool]:
    """For each text whether an earlier one that is not itself a repetition is nearly equal.

    Candidates come from banded MinHash signatures (Broder 1997), the verdict from the exact
    Jaccard index of the 4-grams without blanks.
    """
    rng = np.random.default_rng(0)
    factors = rng.integers(1, _PRIME, (BANDS * ROWS, 1), dtype=np.int64)
    shifts = rng.integers(0, _PRIME, (BANDS * ROWS, 1), dtype=np.int64)
    buckets: defaultdict[tuple[int, bytes], list[int]] = defaultdict(list)
    grams = [_grams(text) for text in texts]
    found = []
    for place, own in enumerate(grams):
        codes = np.array(sorted(own), dtype=np.int64)
        signature = ((factors * codes + shifts) % _PRIME).min(axis=1).reshape(BANDS, ROWS)
        keys = [(band, row.tobytes()) for band, row in enumerate(signature)]
        near = {other for key in keys for other in buckets.get(key, ())}
        known = any(_jaccard(own, grams[other]) >= ALIKE for other in near)
        found.append(known)
        if not known:
            for key in keys:
                buckets[key].append(place)
    return found


def _grams(text: str) -> frozenset[int]:
    """Hashes below 2^31 of the 4-grams; one of the whole where it is shorter."""
    whole = "".join(text.split())
    parts = [whole[i : i + GRAM] for i in range(max(1, len(whole) - GRAM + 1))]
    return frozenset(zlib.crc32(part.encode()) & _PRIME for part in parts)


def _jaccard(first: frozenset[int], second: frozenset[int]) -> float:
    both = len(first & second)
    return both / (len(first) + len(second) - both)
