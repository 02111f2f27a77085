"""Metrics of an exam or benchmark: the key, accuracy and others with intervals."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from solution.core import ErrorCollector, UserError
from solution.exam import (
    Question,
    near_duplicate_groups,
    public_private_split,
    read_answer_key,
    read_exam,
    with_answers,
)
from solution.explore.statistics import (
    calibration_error,
    clustered_interval,
    influence_interval,
    macro_f1,
    mean,
    most_common,
    positions,
)
from solution.scoring import ChoiceScores

if TYPE_CHECKING:
    from solution.explore.suite import Metric

COLUMNS = "id,paragraph,problems,question_plus"


@dataclass(frozen=True)
class ExamKey:
    """An exam with all its answers; one entry per question in all lists.

    `excluded` counts the questions that were left out of the file's.
    """

    exam: Path
    questions: tuple[Question, ...]
    answers: list[int]
    usage: list[str]
    groups: list[int] = field(default_factory=list)
    excluded: int = 0

    @property
    def subjects(self) -> list[str]:
        """The subjects in the exam's order."""
        return list(dict.fromkeys(q.subject for q in self.questions if q.subject))

    def columns(self) -> dict[str, list[Any]]:
        """Return the key in the form that a benchmark's has."""
        return {
            "answer": self.answers,
            "group": self.groups,
            "subject": [question.subject for question in self.questions],
        }


def read_exam_key(
    exam: Path,
    solution: Path | None,
    seed: int,
    columns: Mapping[str, str] | None = None,
) -> ExamKey:
    """Read an exam and its answers, from `solution` where given, else from the exam itself.

    The public and private split is the solution's Usage, else drawn from `seed`.
    Raises UserError where a file is missing or invalid, or an answer is missing.
    """
    _check_exists(exam, f"Put the exam CSV there (columns {COLUMNS}), or use --exam FILE.")
    read = read_exam(exam, columns=columns)
    if solution is None:
        usage = public_private_split([question.id for question in read.questions], seed)
    else:
        _check_exists(
            solution,
            f"Put the answers to {exam} there (columns id,answer,Usage), or use "
            "--solution FILE, or --exam FILE with an exam that holds its answers.",
        )
        key = read_answer_key(solution)
        read, usage = with_answers(read, key), key.usage
    return exam_key(exam, read.questions, usage)


def exam_key(exam: Path, questions: Sequence[Question], usage: Mapping[str, str]) -> ExamKey:
    """Return the key to questions; raises UserError where an answer is missing."""
    problems = ErrorCollector(str(exam))
    for question in questions:
        if question.answer is None:
            problems.add(f"{question.id}: no answer")
    problems.raise_if_any("A leaderboard needs all answers: give them with --solution FILE.")
    return ExamKey(
        exam=exam,
        questions=tuple(questions),
        answers=[question.answer for question in questions if question.answer is not None],
        usage=[usage[question.id] for question in questions],
        groups=near_duplicate_groups(questions),
    )


def _check_exists(path: Path, remedy: str) -> None:
    if not path.is_file():
        raise UserError(f"{path}: not found. {remedy}")


def exam_metrics(key: ExamKey, guesses: Sequence[Sequence[int]]) -> dict[str, float]:
    """Return accuracy with its interval, by split and by subject, and macro-F1.

    A guess holds the choices (from 1) that tie for a question: one of them for a model.
    A split without questions has no metric.
    """
    credits = accuracy_per_question(key, guesses)
    low, high = clustered_interval(credits, key.groups)
    parts = {"public": _mean_of(credits, key.usage, "Public")}
    parts["private"] = _mean_of(credits, key.usage, "Private")
    subjects = [question.subject for question in key.questions]
    for subject in key.subjects:
        parts[f"accuracy_{subject}"] = _mean_of(credits, subjects, subject)
    return {
        "accuracy": mean(credits),
        "ci_low": low,
        "ci_high": high,
        "macro_f1": macro_f1(key.answers, guesses),
        **{name: value for name, value in parts.items() if value is not None},
    }


def accuracy_per_question(key: ExamKey, guesses: Sequence[Sequence[int]]) -> list[float]:
    """Return for each question the probability that its guess is right."""
    return [
        (answer in guess) / len(guess)
        for answer, guess in zip(key.answers, guesses, strict=True)
    ]


def _mean_of(credits: Sequence[float], labels: Sequence[str], label: str) -> float | None:
    own = [credit for credit, of in zip(credits, labels, strict=True) if of == label]
    return mean(own) if own else None


Key = Mapping[str, Sequence[Any]]


def column_metrics(metric: Metric, key: Key, scored: Sequence[ChoiceScores]) -> dict[str, Any]:
    """Return a column's metric with its 95 % interval, accuracy, macro-F1 and answer counts."""
    answers = [one.answer for one in scored]
    right = right_rows(key, scored)
    value, low, high = _metric(metric, key, scored, right)
    common, share = most_common(answers)
    found = {
        "metric": metric,
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
    }
    if key.get("spontaneous"):
        both = zip(right, key["spontaneous"], strict=True)
        found["generated_accuracy"] = mean([good and own for good, own in both])
    return found


def right_rows(key: Key, scored: Sequence[ChoiceScores]) -> list[bool]:
    """Return whether each row was answered right: with a true choice where it has several."""
    true = key.get("true", [[]] * len(scored))
    return [
        bool(own[one.answer - 1]) if own else one.answer == answer
        for one, answer, own in zip(scored, key["answer"], true, strict=True)
    ]


def _metric(
    metric: Metric, key: Key, scored: Sequence[ChoiceScores], right: Sequence[bool]
) -> tuple[float, float, float]:
    if metric == "macro_f1":
        return macro_f1_interval(key["answer"], [one.answer for one in scored], key["group"])
    if metric == "acc_by_subject":
        return _mean_by_subject(right, key["subject"], key["group"])
    credits: Sequence[float] = right
    if metric == "mc2":
        credits = [
            math.fsum(p for p, good in zip(one.probability, true, strict=True) if good)
            for one, true in zip(scored, key["true"], strict=True)
        ]
    return mean(credits), *clustered_interval(credits, key["group"])


def macro_f1_interval(
    key: Sequence[int], answers: Sequence[int], groups: Sequence[int]
) -> tuple[float, float, float]:
    """Return macro-F1 and its clustered 95 % interval.

    A class's F1 is the ratio of sums 2·TP / (TP + FP + TP + FN); the interval is that of the
    ratios' linear approximation (Taylor linearisation; Wolter, Introduction to Variance
    Estimation, chapter 6), with Student's t on groups - 1.
    """
    value = macro_f1(key, [(answer,) for answer in answers])
    classes = sorted({*key, *answers})
    pairs = list(zip(key, answers, strict=True))
    influence = [0.0] * len(pairs)
    for label in classes:
        size = sum((gold == label) + (given == label) for gold, given in pairs)
        f1 = 2 * sum(gold == given == label for gold, given in pairs) / size
        for i, (gold, given) in enumerate(pairs):
            hit = 2 * (gold == given == label) - f1 * ((gold == label) + (given == label))
            influence[i] += hit / size / len(classes)
    right = [gold == given for gold, given in pairs]
    return value, *influence_interval(value, influence, right, groups)


def _mean_by_subject(
    right: Sequence[bool], subjects: Sequence[str], groups: Sequence[int]
) -> tuple[float, float, float]:
    """The mean of the subjects' accuracies whatever their sizes: a leaderboard's MMLU."""
    parts: dict[str, list[bool]] = defaultdict(list)
    for good, subject in zip(right, subjects, strict=True):
        parts[subject].append(good)
    means = {subject: mean(own) for subject, own in parts.items()}
    value = mean(list(means.values()))
    influence = [
        (good - means[subject]) / len(parts[subject]) / len(parts)
        for good, subject in zip(right, subjects, strict=True)
    ]
    return value, *influence_interval(value, influence, right, groups)
