"""One exam and the models that answered it, as plain values for the page."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from solution.core import fingerprint
from solution.exam import Question, near_duplicate_groups
from solution.explore import (
    ExamKey,
    adjusted_pairwise,
    baselines,
    clustered_interval,
    exam_metrics,
)
from solution.report.model_info import model_info
from solution.report.runs import Failure, RunResult
from solution.report.significance import effects, significance_groups

BINS = 10
MILLE = 1000

Value = dict[str, Any]


def boards(runs: Sequence[RunResult], failed: Sequence[Failure]) -> list[Value]:
    """Return one value per exam, in the order of the runs; see docs/guides/report.md."""
    by_exam: dict[str, list[RunResult]] = {}
    for run in runs:
        asked = [(q.id, q.paragraph, q.question, q.choices) for q in run.questions]
        by_exam.setdefault(fingerprint(asked), []).append(run)
    return [_board(own, failed) for own in by_exam.values()]


def _board(runs: Sequence[RunResult], failed: Sequence[Failure]) -> Value:
    """Return the board of one exam, best run first if the answers are known."""
    first = max(runs, key=lambda run: sum(q.answer is not None for q in run.questions))
    questions, usage = first.questions, first.usage
    known = all(q.answer is not None for q in questions)
    if known:
        runs = sorted(runs, key=lambda run: -sum(run.correct))
    groups = near_duplicate_groups(questions)
    suites = {run.folder.parent for run in runs}
    provenance = {id: facts for run in runs for id, facts in run.provenance.items()}
    board = {
        "name": _name(runs),
        "subjects": _distinct(q.subject for q in questions),
        "sources": _distinct(q.source for q in questions),
        "groups": len(set(groups)),
        **_questions(questions, usage),
        "models": [_answers(run) | model_info(run) for run in runs],
        "failed": [{"name": f.name, "reason": f.reason} for f in failed if f.folder in suites],
        "provenance": {q.id: provenance[q.id] for q in questions if q.id in provenance},
        "baselines": [],
        "effects": [],
        "pairs": [],
        "known": known,
    }
    if known:
        answers = [q.answer for q in questions if q.answer is not None]
        halves = [usage[q.id] for q in questions]
        _add_metrics(
            board, ExamKey(Path(board["name"]), questions, answers, halves, groups), runs
        )
    return board


def _name(runs: Sequence[RunResult]) -> str:
    for run in runs:
        if run.metrics.get("exam"):
            return str(run.metrics["exam"])
    return Path(str((runs[0].config.get("data") or {}).get("test", "exam"))).name


def _add_metrics(board: Value, key: ExamKey, runs: Sequence[RunResult]) -> None:
    """Add everything that needs the answers: scores, significance, calibration, effects.

    Scores are not rounded: the page formats them once, as the leaderboard does.
    """
    subjects = [question.subject for question in key.questions]
    sources = [question.source for question in key.questions]
    pairs = adjusted_pairwise([run.correct for run in runs])
    letters = significance_groups(len(runs), pairs)
    for run, model, group in zip(runs, board["models"], letters, strict=True):
        model.update(exam_metrics(key, [(one.answer,) for one in run.scored]))
        model["group"] = group
        model["by_subject"] = _by_label(run.correct, subjects, key.groups)
        model["by_source"] = _by_label(run.correct, sources, key.groups)
        model["calibration"], model["ece"] = _calibration(run)
    board["pairs"] = [[a, b, p_value] for (a, b), p_value in pairs.items()]
    board["positions"] = _histogram(key.answers)
    board["baselines"] = [
        {"name": name, **exam_metrics(key, guesses)}
        for name, guesses in baselines(key.questions, key.answers).items()
    ]
    board["effects"] = effects(runs, key.groups, subjects)


def _questions(questions: Sequence[Question], usage: dict[str, str]) -> Value:
    """Return the exam; a text that several questions share is stored once.

    A question is [id, text, question, plus, choices, answer, subject, source, half]: text and
    plus are indices into `texts`, subject and source into their lists (-1: none); answer
    counts from 1 (0: unknown); half is 0 for public, 1 for private.
    """
    texts: dict[str, int] = {}
    subjects = _distinct(q.subject for q in questions)
    sources = _distinct(q.source for q in questions)
    rows = [
        [
            q.id,
            texts.setdefault(q.paragraph, len(texts)),
            q.question,
            texts.setdefault(q.question_plus, len(texts)),
            list(q.choices),
            q.answer or 0,
            subjects.index(q.subject) if q.subject else -1,
            sources.index(q.source) if q.source else -1,
            int(usage.get(q.id) == "Private"),
        ]
        for q in questions
    ]
    return {"texts": list(texts), "questions": rows}


def _answers(run: RunResult) -> Value:
    """Return the answers, all probabilities in thousandths, and retrieved passages by row."""
    found = {i: run.retrieved.get(one.id) for i, one in enumerate(run.scored)}
    return {
        "answers": [one.answer for one in run.scored],
        "probabilities": [round(MILLE * p) for one in run.scored for p in one.probability],
        "positions": _histogram([one.answer for one in run.scored]),
        "retrieved": {i: passages for i, passages in found.items() if passages},
    }


def _histogram(answers: Sequence[int]) -> list[int]:
    counts = Counter(answers)
    return [counts[choice] for choice in range(1, max(answers) + 1)]


def _by_label(
    correct: Sequence[bool], labels: Sequence[str], groups: Sequence[int]
) -> dict[str, list[float]]:
    """Map each label to [accuracy, low, high, questions]."""
    parts = {}
    for label in _distinct(labels):
        rows = [i for i, own in enumerate(labels) if own == label]
        own = [float(correct[i]) for i in rows]
        low, high = clustered_interval(own, [groups[i] for i in rows])
        parts[label] = [math.fsum(own) / len(own), low, high, len(own)]
    return parts


def _calibration(run: RunResult) -> tuple[list[list[float]], float]:
    """Return ten bins of [questions, mean probability, accuracy] and the calibration error.

    Expected calibration error (Guo et al. 2017, arXiv 1706.04599).
    """
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for one, right in zip(run.scored, run.correct, strict=True):
        confidence = max(one.probability)
        bins[min(int(confidence * BINS), BINS - 1)].append((confidence, right))
    rows: list[list[float]] = []
    error = 0.0
    for own in bins:
        confidence, hits = math.fsum(p for p, _ in own), sum(right for _, right in own)
        error += abs(confidence - hits)
        count = max(1, len(own))
        rows.append([len(own), round(confidence / count, 4), round(hits / count, 4)])
    return rows, error / len(run.scored)


def _distinct(labels: Iterable[str]) -> list[str]:
    return [label for label in dict.fromkeys(labels) if label]
