"""Combination of several predictions of the same questions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from solution.core import UserError
from solution.scoring.scorer import ChoiceScores

AveragingMethod = Literal["probabilities", "votes"]
MIN_PROBABILITY = 1e-300


def average_predictions(
    tables: Sequence[Sequence[ChoiceScores]],
    weights: Sequence[float],
    method: AveragingMethod = "probabilities",
) -> list[ChoiceScores]:
    """Return the weighted mean of predictions whose rows are in the same order.

    `probabilities`: the arithmetic mean; `votes`: the weight of those that chose each choice.
    Ties go to the choice that the first table prefers. Raises UserError if rows don't match.
    """
    shapes = [[(row.id, len(row.probability)) for row in table] for table in tables]
    if any(shape != shapes[0] for shape in shapes):
        raise UserError(
            "Predictions of different questions cannot be combined: they need the same ids, in "
            "one order, with equally many choices. Use one exam file for all of them."
        )
    return [_average(rows, weights, method) for rows in zip(*tables, strict=True)]


def _average(
    rows: Sequence[ChoiceScores], weights: Sequence[float], method: AveragingMethod
) -> ChoiceScores:
    import numpy as np

    values = np.array([row.probability for row in rows])
    if method == "votes":
        values = np.eye(values.shape[1])[[row.answer - 1 for row in rows]]
    mean = np.array(weights, dtype=float) @ values
    mean /= mean.sum()
    # Rounding may separate what is equal: differences below 1e-12 are ties.
    tied = [i for i in range(len(mean)) if mean[i] >= mean.max() - 1e-12]
    best = max(tied, key=lambda i: (rows[0].answer == i + 1, rows[0].probability[i], -i))
    return ChoiceScores(
        id=rows[0].id,
        log_likelihood=tuple(map(float, np.log(np.maximum(mean, MIN_PROBABILITY)))),
        probability=tuple(map(float, mean)),
        answer=best + 1,
        margin=float(mean[best] - np.delete(mean, best).max()),
    )
