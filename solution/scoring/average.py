"""Several predictions of the same questions made into one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from solution.core import UserError
from solution.scoring.scorer import ChoiceScores

How = Literal["probabilities", "log-probabilities", "votes"]
FLOOR = 1e-300


def average(
    tables: Sequence[Sequence[ChoiceScores]], weights: Sequence[float], how: How
) -> list[ChoiceScores]:
    """The weighted average of predictions whose rows stand in the same order.

    `probabilities`: their arithmetic mean; `log-probabilities`: the softmax of the weighted
    sum of their logarithms (weights that sum to 1 make the geometric mean; larger ones sharpen
    it); `votes`: the weight of those who chose each choice. Equal shares go to the choice that
    the first of the tables prefers among them. Raises UserError where rows do not match.
    """
    rows = zip(*tables, strict=True) if _alike(tables) else ()
    return [_row(row, weights, how) for row in rows]


def _alike(tables: Sequence[Sequence[ChoiceScores]]) -> bool:
    first = [(row.id, len(row.probability)) for row in tables[0]]
    for table in tables[1:]:
        if [(row.id, len(row.probability)) for row in table] != first:
            raise UserError(
                "Predictions of different questions cannot be averaged: they need the same "
                "ids, in one order, with equally many choices. Predict one exam file with each."
            )
    return True


def _row(rows: Sequence[ChoiceScores], weights: Sequence[float], how: How) -> ChoiceScores:
    import numpy as np

    given = np.array([row.probability for row in rows])
    share = np.array(weights, dtype=float)
    if how == "votes":
        given = np.eye(given.shape[1])[[row.answer - 1 for row in rows]]
    if how == "log-probabilities":
        sums = share @ np.log(np.maximum(given, FLOOR))
        mixed = np.exp(sums - sums.max())
    else:
        mixed = share @ given
    mixed /= mixed.sum()
    # Rounding may part what is equal: a millionth of a millionth is no preference.
    tied = [i for i in range(len(mixed)) if mixed[i] >= mixed.max() - 1e-12]
    best = max(tied, key=lambda i: (rows[0].answer == i + 1, rows[0].probability[i], -i))
    others = np.delete(mixed, best)
    logarithms = np.log(np.maximum(mixed, FLOOR))
    return ChoiceScores(
        id=rows[0].id,
        log_likelihood=tuple(map(float, logarithms)),
        probability=tuple(map(float, mixed)),
        answer=best + 1,
        margin=float(mixed[best] - others.max()),
    )
