"""Statistics of scores: clustered intervals, paired tests, macro-F1, calibration."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from decimal import ROUND_HALF_UP, Decimal
from itertools import combinations
from typing import Any

from solution.exam import Question, choice_orders
from solution.scoring import ChoiceScores

CONFIDENCE = 0.95
BINS = 10


def mean(values: Sequence[float]) -> float:
    """Return the mean, whatever the order of the values."""
    return math.fsum(values) / len(values)


def clustered_error(credits: Sequence[float], groups: Sequence[Hashable]) -> float:
    """Return the clustered standard error of the mean credit.

    Sums the products of residuals within each group, with the correction C / (C - 1) for C
    groups: Miller 2024, "Adding Error Bars to Evals" (arXiv 2411.00640), as inspect_ai's
    `stderr(cluster=...)` computes it. With one question a group it is the usual s / sqrt(n).
    NaN where there are fewer than two groups.
    """
    centre = mean(credits)
    residuals: dict[Hashable, float] = defaultdict(float)
    for credit, group in zip(credits, groups, strict=True):
        residuals[group] += credit - centre
    count = len(residuals)
    if count < 2:
        return math.nan
    squares = math.fsum(residual**2 for residual in residuals.values())
    return math.sqrt(squares * count / (count - 1)) / len(credits)


def clustered_interval(
    credits: Sequence[float], groups: Sequence[Hashable]
) -> tuple[float, float]:
    """Return the 95 % interval of the mean of credits in 0..1: Student's t on groups - 1.

    Where the groups show no spread at all (say, all is right), t would give an interval of
    no width: Clopper and Pearson's exact one, counting each group once, replaces it.
    (0, 1) for a single group.
    """
    from scipy.special import betaincinv

    count = len(set(groups))
    if count < 2:
        return 0.0, 1.0
    centre, error = mean(credits), clustered_error(credits, groups)
    if error < 1e-12:
        hits, tail = round(centre * count), (1 - CONFIDENCE) / 2
        low = betaincinv(hits, count - hits + 1, tail) if hits else 0.0
        high = betaincinv(hits + 1, count - hits, 1 - tail) if hits < count else 1.0
        return float(low), float(high)
    reach = _t_quantile(count - 1) * error
    return max(0.0, centre - reach), min(1.0, centre + reach)


def influence_interval(
    value: float,
    influence: Sequence[float],
    right: Sequence[bool],
    groups: Sequence[Hashable],
) -> tuple[float, float]:
    """Return the clustered 95 % interval of a metric from each row's influence on it.

    Accuracy's interval where no row has any.
    """
    sums: dict[Hashable, float] = defaultdict(float)
    for amount, group in zip(influence, groups, strict=True):
        sums[group] += amount
    count = len(sums)
    spread = math.fsum(amount**2 for amount in sums.values())
    if count < 2 or spread < 1e-24:
        return clustered_interval(right, groups)
    error = math.sqrt(spread * count / (count - 1))
    reach = _t_quantile(count - 1) * error
    return max(0.0, value - reach), min(1.0, value + reach)


def _t_quantile(freedom: int) -> float:
    from scipy.special import stdtrit  # scipy.stats takes a second to import

    return float(stdtrit(freedom, (1 + CONFIDENCE) / 2))


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> float:
    """Return the p-value that two candidates are equally good, from their right answers.

    McNemar's test in its exact form: under equality each question that only one of them got
    right is a fair coin (two-sided binomial test). 1.0 where there is no such question.
    """
    from scipy.special import bdtr

    only_first = sum(a and not b for a, b in zip(first, second, strict=True))
    only_second = sum(b and not a for a, b in zip(first, second, strict=True))
    smaller, both = min(only_first, only_second), only_first + only_second
    return min(1.0, 2 * float(bdtr(smaller, both, 0.5))) if both else 1.0


def holm(values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for multiple tests (Holm 1979)."""
    adjusted = [0.0] * len(values)
    reached = 0.0
    for rank, i in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        reached = max(reached, min(1.0, (len(values) - rank) * values[i]))
        adjusted[i] = reached
    return adjusted


def adjusted_pairwise(right: Sequence[Sequence[bool]]) -> dict[tuple[int, int], float]:
    """Compare every pair of models: McNemar's p-value, adjusted by Holm over all pairs.

    `right[i]` is whether model i answered each question correctly; keys are (i, j) with i < j.
    The leaderboard and the report both use it, so a pair has one adjusted p-value everywhere.
    """
    pairs = list(combinations(range(len(right)), 2))
    return dict(zip(pairs, holm([mcnemar(right[i], right[j]) for i, j in pairs]), strict=True))


def format_accuracy(value: float, digits: int = 4) -> str:
    """Format a figure with a fixed number of digits, ties away from zero.

    Equals JavaScript's `toFixed` (0.53125 is 0.5313), so tables and the report agree.
    """
    return str(Decimal(value).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP))


def implied_count(share: float, rows: int) -> int | None:
    """Return the count of `rows` that a share printed with four digits is, or None."""
    count = round(share * rows)
    return count if rows and abs(count / rows - share) < 5.001e-5 else None


def two_shares(first: int, second: int, rows: int) -> float:
    """Return the p-value that two candidates are equally good, from counts of right answers.

    Fisher's exact test, `rows` answers each. Which answers were right is not known, so the two
    count as independent: conservative on the same rows, where answers mostly agree.
    """
    from scipy.stats import fisher_exact

    table = [[first, rows - first], [second, rows - second]]
    return float(fisher_exact(table).pvalue)


def macro_f1(key: Sequence[int], guesses: Sequence[Sequence[int]]) -> float:
    """Return the mean of the F1 scores of the answer numbers, as scikit-learn's.

    A guess of several tied choices counts as an equal share of each. (Importing scikit-learn
    would take a third of a run in which everything is reused.)
    """
    sizes: dict[int, float] = defaultdict(float)  # TP + FP + TP + FN of each class
    hits: dict[int, float] = defaultdict(float)
    for answer, guess in zip(key, guesses, strict=True):
        sizes[answer] += 1
        for choice in guess:
            sizes[choice] += 1 / len(guess)
            hits[choice] += (choice == answer) / len(guess)
    return mean([2 * hits[label] / size for label, size in sizes.items()])


def most_common(answers: Sequence[int]) -> tuple[int, float]:
    """Return the most frequent answer (the smallest of several) and its share."""
    counts = Counter(answers)
    answer = min(counts, key=lambda value: (-counts[value], value))
    return answer, counts[answer] / len(answers)


def calibration_error(confidence: Sequence[float], right: Sequence[bool]) -> float:
    """Return the expected calibration error.

    The best choices' probabilities fall into ten bins of equal width; the error is the mean
    distance between a bin's confidence and its share of right answers, weighted by its size
    (Guo et al. 2017, arXiv 1706.04599).
    """
    bins: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for sure, good in zip(confidence, right, strict=True):
        bins[min(int(sure * BINS), BINS - 1)].append((sure, good))
    gaps = (abs(math.fsum(sure - good for sure, good in some)) for some in bins.values())
    return math.fsum(gaps) / len(right)


def positions(answers: Sequence[int]) -> str:
    """Return how often each choice is the answer: '40/35/25'."""
    counts = Counter(answers)
    return "/".join(str(counts[choice]) for choice in range(1, max(answers) + 1))


def order_effect(
    questions: Sequence[Question], key: Sequence[int], scored: Sequence[ChoiceScores]
) -> dict[str, Any]:
    """Return how answers depend on the order of the choices; nothing where there was one order.

    `order_changes`: share of the questions whose answer is not the same choice in all orders.
    `order_positions` and `order_key_positions`: how often the answer, and the right choice,
    was at each position over all orders ('40/35/25').
    """
    picked: list[int] = []
    right: list[int] = []
    changed: list[bool] = []
    for question, answer, one in zip(questions, key, scored, strict=True):
        if not one.by_order:
            continue
        changed.append(len(set(one.by_order)) > 1)
        orders = choice_orders(question, len(one.by_order))
        for order, choice in zip(orders, one.by_order, strict=True):
            picked.append(order.index(choice - 1) + 1)
            right.append(order.index(answer - 1) + 1)
    if not changed:
        return {}
    return {
        "order_changes": mean(changed),
        "order_positions": positions(picked),
        "order_key_positions": positions(right),
    }
