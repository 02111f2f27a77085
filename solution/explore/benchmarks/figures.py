"""What one cell of a table earned: its figure with an interval, and what to mind about it."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from solution.explore.benchmarks.suite import Figure
from solution.explore.statistics import (
    CONFIDENCE,
    calibration_error,
    clustered_interval,
    macro_f1,
    mean,
    most_common,
    positions,
)
from solution.scoring import ChoiceScores

Key = Mapping[str, Sequence[Any]]


def figures(figure: Figure, key: Key, scored: Sequence[ChoiceScores]) -> dict[str, Any]:
    """A cell's figure with its 95 % interval, and accuracy, macro-F1 and answers beside it.

    Rows that hang together (`key["group"]`) count together in the interval. `constant` is what
    giving one and the same answer to all rows would earn, for each answer of the key.
    """
    answers = [one.answer for one in scored]
    right = right_rows(key, scored)
    value, low, high = _valued(figure, key, scored, right)
    common, share = most_common(answers)
    told = {
        "figure": figure,
        "value": value,
        "ci_low": low,
        "ci_high": high,
        "accuracy": mean(right),
        "macro_f1": macro_f1(key["answer"], [(answer,) for answer in answers]),
        "most_common_answer": common,
        "most_common_share": share,
        "positions": positions(answers),
        "key_positions": positions(key["answer"]),
        "calibration_error": calibration_error([max(s.probability) for s in scored], right),
        "constant": _constant(figure, key),
    }
    if key["spontaneous"]:
        said = zip(right, key["spontaneous"], strict=True)
        told["generated_accuracy"] = mean([good and own for good, own in said])
    return told


def right_rows(key: Key, scored: Sequence[ChoiceScores]) -> list[bool]:
    """Whether each row was answered right: with a true choice where it has several."""
    return [
        bool(true[one.answer - 1]) if true else one.answer == answer
        for one, answer, true in zip(scored, key["answer"], key["true"], strict=True)
    ]


def _valued(
    figure: Figure, key: Key, scored: Sequence[ChoiceScores], right: Sequence[bool]
) -> tuple[float, float, float]:
    if figure == "macro_f1":
        return macro_f1_interval(key["answer"], [one.answer for one in scored], key["group"])
    if figure == "by_subject":
        return _by_subject(right, key["subject"], key["group"])
    credits: Sequence[float] = right
    if figure == "mc2":
        credits = [
            math.fsum(p for p, good in zip(one.probability, true, strict=True) if good)
            for one, true in zip(scored, key["true"], strict=True)
        ]
    return mean(credits), *clustered_interval(credits, key["group"])


def macro_f1_interval(
    key: Sequence[int], answers: Sequence[int], groups: Sequence[int]
) -> tuple[float, float, float]:
    """Macro-F1 and its 95 % interval, rows of one group counted together.

    A class's F1 is the ratio of sums 2·TP / (TP + FP + TP + FN); the interval is that of the
    ratios' linear approximation (Taylor linearisation; Wolter, Introduction to Variance
    Estimation, chapter 6), with Student's t on groups - 1.
    """
    value = macro_f1(key, [(answer,) for answer in answers])
    classes = sorted({*key, *answers})
    both = list(zip(key, answers, strict=True))
    pull = [0.0] * len(both)
    for label in classes:
        size = sum((gold == label) + (given == label) for gold, given in both)
        f1 = 2 * sum(gold == given == label for gold, given in both) / size
        for i, (gold, given) in enumerate(both):
            hit = 2 * (gold == given == label) - f1 * ((gold == label) + (given == label))
            pull[i] += hit / size / len(classes)
    right = [gold == given for gold, given in both]
    return value, *_interval(value, pull, right, groups)


def _by_subject(
    right: Sequence[bool], subjects: Sequence[str], groups: Sequence[int]
) -> tuple[float, float, float]:
    """The mean of the subjects' accuracies whatever their sizes: a leaderboard's MMLU."""
    parts: dict[str, list[bool]] = defaultdict(list)
    for good, subject in zip(right, subjects, strict=True):
        parts[subject].append(good)
    means = {subject: mean(own) for subject, own in parts.items()}
    value = mean(list(means.values()))
    pull = [
        (good - means[subject]) / len(parts[subject]) / len(parts)
        for good, subject in zip(right, subjects, strict=True)
    ]
    return value, *_interval(value, pull, right, groups)


def _interval(
    value: float, pull: Sequence[float], right: Sequence[bool], groups: Sequence[int]
) -> tuple[float, float]:
    """The interval of a figure that each row pulls by so much; accuracy's where none pulls."""
    from scipy.stats import t

    sums: dict[int, float] = defaultdict(float)
    for amount, group in zip(pull, groups, strict=True):
        sums[group] += amount
    count = len(sums)
    spread = math.fsum(amount**2 for amount in sums.values())
    if count < 2 or spread < 1e-24:
        return clustered_interval(right, groups)
    error = math.sqrt(spread * count / (count - 1))
    reach = float(t.ppf((1 + CONFIDENCE) / 2, count - 1)) * error
    return max(0.0, value - reach), min(1.0, value + reach)


def _constant(figure: Figure, key: Key) -> list[float]:
    """What one answer for all rows would earn; none for figures that it says little about."""
    counts = Counter(key["answer"])
    shares = [counts[answer] / len(key["answer"]) for answer in sorted(counts)]
    if figure == "accuracy":
        return shares
    if figure == "macro_f1":  # one class has precision `share` and recall 1, the others F1 0
        return [2 * share / (1 + share) / len(shares) for share in shares]
    return []
