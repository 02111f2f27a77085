"""Weights of an ensemble, learnt on out-of-fold predictions, and what they gain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from solution.core import UserError
from solution.explore import clustered_error
from solution.scoring import ChoiceScores, How

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

LEAST = 1e-6  # of a probability, in logarithms: one very sure run must not rule all others
ROUNDS = 25
PARTS = 5


class Gain(NamedTuple):
    """Accuracy on rows that neither the weights nor the choice of the best run had seen."""

    best: float
    ensemble: float
    low: float
    """The 95 % interval of the difference, in shares; questions of one passage together."""
    high: float

    @property
    def difference(self) -> float:
        """What the ensemble earns beyond the best single run."""
        return self.ensemble - self.best


def stack(tables: Sequence[Sequence[ChoiceScores]], how: How) -> Array:
    """Shape (questions, most choices, tables): shares, or their logarithms; padded with nan."""
    import numpy as np

    most = max(len(row.probability) for row in tables[0])
    whole = np.full((len(tables[0]), most, len(tables)), np.nan)
    for number, table in enumerate(tables):
        for place, row in enumerate(table):
            whole[place, : len(row.probability), number] = row.probability
            if how == "votes":
                whole[place, : len(row.probability), number] = 0.0
                whole[place, row.answer - 1, number] = 1.0
    return np.log(np.maximum(whole, LEAST)) if how == "log-probabilities" else whole


def learn(given: Array, answers: Array, how: How) -> Array:
    """Weights of no less than 0, by scikit-learn.

    `given` as `stack` makes it, `answers` from 0. Shares: least squares of the sum against
    right (1) and wrong (0), Breiman's stacked regressions (1996). Logarithms: logistic
    regression of right choice against each wrong one; a run of negative weight is left out.
    """
    return _logistic(given, answers) if how == "log-probabilities" else _least(given, answers)


def greedy(given: Array, answers: Array, how: How) -> Array:
    """Weights by forward selection with replacement (Caruana et al. 2004).

    Each round adds the run that raises accuracy most (between equals, the log-probability of
    the right choice), until none does.
    """
    import numpy as np

    count = np.zeros(given.shape[2])
    best = (-1.0, -np.inf)
    for _ in range(ROUNDS):
        tries = [count + one for one in np.eye(len(count))]
        merits = [_merit(given, answers, t / t.sum(), how) for t in tries]
        if max(merits) <= best:
            break
        best = max(merits)
        count = tries[merits.index(best)]
    return np.asarray(count / count.sum())


def gain(
    given: Array,
    answers: Array,
    groups: Sequence[int],
    choose: Callable[[Array, Array], Array],
) -> Gain:
    """What `choose` (weights from rows) earns on rows it did not see, against the best run.

    Weights and best run are found on four fifths of the passages and tried on the last, in
    turn. Raises UserError where there are fewer than five passages.
    """
    import numpy as np
    from scipy.stats import t
    from sklearn.model_selection import GroupKFold

    if len(set(groups)) < PARTS:
        raise UserError(f"{len(set(groups))} passages: too few to learn weights on.")
    ours, single = np.zeros(len(answers)), np.zeros(len(answers))
    for rest, part in GroupKFold(PARTS).split(given, answers, groups):
        weights = choose(given[rest], answers[rest])
        alone = [_right(given[rest][:, :, m], answers[rest]).mean() for m in _runs(given)]
        ours[part] = _right(given[part] @ weights, answers[part])
        single[part] = _right(given[part][:, :, int(np.argmax(alone))], answers[part])
    error = clustered_error(list(ours - single), groups)
    reach = float(t.ppf(0.975, len(set(groups)) - 1)) * error
    middle = float(ours.mean() - single.mean())
    return Gain(float(single.mean()), float(ours.mean()), middle - reach, middle + reach)


def _runs(given: Array) -> range:
    return range(given.shape[2])


def _right(sums: Array, answers: Array) -> Any:
    import numpy as np

    return np.nanargmax(sums, axis=1) == answers


def _merit(given: Array, answers: Array, weights: Array, how: How) -> tuple[float, float]:
    import numpy as np

    sums = given @ weights
    shares = np.exp(sums) if how == "log-probabilities" else sums
    picked = shares[np.arange(len(answers)), answers] / np.nansum(shares, axis=1)
    likelihood = np.log(np.maximum(picked, LEAST)).mean()
    return float(_right(sums, answers).mean()), float(likelihood)


def _least(given: Array, answers: Array) -> Array:
    import numpy as np
    from sklearn.linear_model import LinearRegression

    truth = np.arange(given.shape[1]) == answers[:, None]
    real = ~np.isnan(given[:, :, 0])
    fit = LinearRegression(positive=True, fit_intercept=False).fit(given[real], truth[real])
    return _whole(fit.coef_)


def _logistic(given: Array, answers: Array) -> Array:
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    right = given[np.arange(len(answers)), answers]
    wrong = ~np.isnan(given[:, :, 0])
    wrong[np.arange(len(answers)), answers] = False
    apart = (right[:, None, :] - given)[wrong]
    rows = np.concatenate([apart, -apart])
    sides = np.repeat([1, 0], len(apart))
    weights = np.zeros(given.shape[2])
    kept = np.arange(given.shape[2])
    while len(kept):
        found = LogisticRegression(fit_intercept=False).fit(rows[:, kept], sides).coef_[0]
        if (found >= 0).all():
            weights[kept] = found
            break
        kept = kept[found > 0]
    return weights if weights.any() else _whole(weights)


def _whole(weights: Array) -> Array:
    """Made to sum to 1; equal ones where nothing was learnt."""
    import numpy as np

    total = weights.sum()
    return np.asarray(weights / total) if total > 0 else np.full(len(weights), 1 / len(weights))
