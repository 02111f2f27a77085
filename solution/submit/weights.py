"""Ensemble weights fitted on out-of-fold predictions, and the gain they bring."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from solution.core import UserError
from solution.explore import clustered_error
from solution.scoring import ChoiceScores

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

FOLDS = 5


class Gain(NamedTuple):
    """Accuracy on rows used neither for the weights nor for choosing the best run."""

    best: float
    ensemble: float
    low: float
    """Lower end of the 95 % interval of the difference, clustered by passage."""
    high: float

    def __str__(self) -> str:
        difference = self.ensemble - self.best
        low, middle, high = (100 * value for value in (self.low, difference, self.high))
        chance = "" if self.low > 0 else " The interval includes 0: it may be chance."
        return (
            f"Cross-validated over passages: best run {self.best:.4f}, ensemble "
            f"{self.ensemble:.4f}: {middle:+.1f} points (95 % {low:+.1f} to {high:+.1f})."
        ) + chance


def stack(tables: Sequence[Sequence[ChoiceScores]], *, votes: bool = False) -> Array:
    """Return probabilities of shape (questions, choices, tables), padded with NaN.

    With `votes`, 1 for the chosen answer and 0 for the others.
    """
    import numpy as np

    choices = max(len(row.probability) for row in tables[0])
    stacked = np.full((len(tables[0]), choices, len(tables)), np.nan)
    for t, table in enumerate(tables):
        for q, row in enumerate(table):
            one_hot = np.arange(1, len(row.probability) + 1) == row.answer
            stacked[q, : len(row.probability), t] = one_hot if votes else row.probability
    return stacked


def fit_weights(stacked: Array, answers: Array) -> Array:
    """Fit weights that are not negative and sum to 1, by scikit-learn.

    Least squares of the weighted sum against 1 for the right choice and 0 for the others:
    stacked regressions (Breiman 1996). `answers` count from 0. Equal weights if all are 0.
    """
    import numpy as np
    from sklearn.linear_model import LinearRegression

    truth = np.arange(stacked.shape[1]) == answers[:, None]
    real = ~np.isnan(stacked[:, :, 0])
    fit = LinearRegression(positive=True, fit_intercept=False).fit(stacked[real], truth[real])
    total = fit.coef_.sum()
    return np.asarray(
        fit.coef_ / total if total > 0 else np.full(len(fit.coef_), 1 / len(fit.coef_))
    )


def measure_gain(
    stacked: Array,
    answers: Array,
    groups: Sequence[int],
    fit: Callable[[Array, Array], Array] = fit_weights,
) -> Gain:
    """Cross-validate the ensemble against the best single run.

    Weights and best run are found on four fifths of the groups and tested on the last fifth,
    in turn. Raises UserError if there are fewer than five groups.
    """
    import numpy as np
    from scipy.stats import t
    from sklearn.model_selection import GroupKFold

    if len(set(groups)) < FOLDS:
        raise UserError(f"{len(set(groups))} passages: too few to fit weights on (5 or more).")
    mixed, single = np.zeros(len(answers)), np.zeros(len(answers))
    for train, test in GroupKFold(FOLDS).split(stacked, answers, groups):
        weights = fit(stacked[train], answers[train])
        alone = [
            _correct(run, answers[train]).mean() for run in stacked[train].transpose(2, 0, 1)
        ]
        mixed[test] = _correct(stacked[test] @ weights, answers[test])
        single[test] = _correct(stacked[test][:, :, int(np.argmax(alone))], answers[test])
    error = clustered_error(list(mixed - single), groups)
    reach = float(t.ppf(0.975, len(set(groups)) - 1)) * error
    middle = float(mixed.mean() - single.mean())
    return Gain(float(single.mean()), float(mixed.mean()), middle - reach, middle + reach)


def _correct(sums: Array, answers: Array) -> Any:
    import numpy as np

    return np.nanargmax(sums, axis=1) == answers
