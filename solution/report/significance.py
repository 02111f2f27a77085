"""Which differences between models are more than chance."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from solution.explore import holm, mcnemar

LEVEL = 0.05
Pair = tuple[int, int]


def all_pairs(right: Sequence[Sequence[bool]]) -> dict[Pair, float]:
    """McNemar's exact p-value of every pair of models, adjusted by Holm over all pairs."""
    pairs = list(combinations(range(len(right)), 2))
    raw = [mcnemar(right[first], right[second]) for first, second in pairs]
    return dict(zip(pairs, holm(raw), strict=True))


def letters(count: int, p_values: dict[Pair, float]) -> list[str]:
    """A compact letter display: models that share a letter are not told apart at 5 %.

    `p_values` has every pair of 0..count-1. Insert and absorb, after Piepho 2004, "An algorithm
    for a letter-based representation of all-pairwise comparisons". `a` goes to the first model.
    """
    columns = [set(range(count))]
    for (first, second), p_value in sorted(p_values.items()):
        if p_value >= LEVEL:
            continue
        split = []
        for column in columns:
            if first in column and second in column:
                split += [column - {first}, column - {second}]
            else:
                split.append(column)
        columns = _absorbed(split)
    columns.sort(key=sorted)
    return [
        "".join(_letter(number) for number, column in enumerate(columns) if model in column)
        for model in range(count)
    ]


def _absorbed(columns: list[set[int]]) -> list[set[int]]:
    """Without those that are contained in another, and each of equals once."""
    kept: list[set[int]] = []
    for column in sorted(columns, key=len, reverse=True):
        if column and not any(column <= other for other in kept):
            kept.append(column)
    return kept


def _letter(number: int) -> str:
    return chr(ord("a") + number) if number < 26 else f"({number})"
