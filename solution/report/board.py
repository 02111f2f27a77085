"""One exam and the models that answered it, as the plain values that the page draws."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from solution.core import fingerprint
from solution.exam import Question, near_duplicate_groups
from solution.explore import Key, baselines, clustered_interval, credits_of, figures
from solution.report.effects import effects
from solution.report.facts import facts_of
from solution.report.runs import Entry, Failure
from solution.report.significance import all_pairs, letters

BINS = 10
MILLE = 1000
DIGITS = 5

Value = dict[str, Any]


def boards(entries: Sequence[Entry], failed: Sequence[Failure]) -> list[Value]:
    """One value an exam, in the order in which the runs bring them; see docs/report.md."""
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        asked = [(q.id, q.paragraph, q.question, q.choices) for q in entry.questions]
        groups.setdefault(fingerprint(asked), []).append(entry)
    return [_board(own, failed) for own in groups.values()]


def _board(entries: Sequence[Entry], failed: Sequence[Failure]) -> Value:
    """The best run first."""
    first = max(entries, key=lambda entry: sum(q.answer is not None for q in entry.questions))
    questions, usage = first.questions, first.usage
    known = all(q.answer is not None for q in questions)
    if known:
        entries = sorted(entries, key=lambda entry: -_right(entry, questions))
    groups = near_duplicate_groups(questions)
    value = {
        "name": _name(entries),
        "subjects": _distinct(q.subject for q in questions),
        "sources": _distinct(q.source for q in questions),
        "groups": len(set(groups)),
        **_asked(questions, usage),
        "models": [_answers(one) | _retrieved(one) | facts_of(one) for one in entries],
        "failed": [
            {"name": one.name, "reason": one.reason}
            for one in failed
            if any(one.folder == entry.folder.parent for entry in entries)
        ],
        "provenance": _provenance(entries, questions),
        "baselines": [],
        "effects": [],
        "pairs": [],
        "known": known,
    }
    if known:
        answers = [q.answer for q in questions if q.answer is not None]
        halves = [usage[q.id] for q in questions]
        _judge(value, Key(Path(value["name"]), questions, answers, halves, groups), entries)
    return value


def _right(entry: Entry, questions: Sequence[Question]) -> int:
    return sum(one.answer == q.answer for one, q in zip(entry.scored, questions, strict=True))


def _name(entries: Sequence[Entry]) -> str:
    for entry in entries:
        if entry.metrics.get("exam"):
            return str(entry.metrics["exam"])
    return Path(str((entries[0].config.get("data") or {}).get("test", "exam"))).name


def _judge(value: Value, key: Key, entries: Sequence[Entry]) -> None:
    """Add what only a key can tell: scores, groups of equals, calibration, effects."""
    subjects, sources = ([getattr(q, name) for q in key.questions] for name in SPLITS)
    credits, right = [], []
    for entry, model in zip(entries, value["models"], strict=True):
        guesses = [(one.answer,) for one in entry.scored]
        credit = credits_of(key, guesses)
        credits.append(credit)
        right.append([one == 1 for one in credit])
        model.update(_rounded(figures(key, guesses)))
        model["by_subject"] = _parts(credit, subjects, key.groups)
        model["by_source"] = _parts(credit, sources, key.groups)
        model["calibration"], model["ece"] = _calibration(entry, right[-1])
    pairs = all_pairs(right)
    for model, letter in zip(value["models"], letters(len(right), pairs), strict=True):
        model["letters"] = letter
    value["pairs"] = [[a, b, round(p_value, DIGITS)] for (a, b), p_value in pairs.items()]
    value["positions"] = _histogram(key.answers)
    value["baselines"] = [
        {"name": name, **_rounded(figures(key, guesses))}
        for name, guesses in baselines(key.questions, key.answers).items()
    ]
    value["effects"] = effects(entries, credits, key.groups, subjects)


SPLITS = ("subject", "source")


def _asked(questions: Sequence[Question], usage: dict[str, str]) -> Value:
    """The exam itself; texts that several questions share stand once.

    A question is [id, text, question, plus, choices, answer, subject, source, half]: text and
    plus count in `texts`, subject and source in their lists (-1: none), answer from 1 (0: not
    known), half 0 public and 1 private.
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


def _retrieved(entry: Entry) -> Value:
    """By the number of the question, what was put before it."""
    found = {i: entry.retrieved.get(one.id) for i, one in enumerate(entry.scored)}
    return {"retrieved": {i: passages for i, passages in found.items() if passages}}


def _provenance(entries: Sequence[Entry], questions: Sequence[Question]) -> Value:
    known = {id: facts for entry in entries for id, facts in entry.provenance.items()}
    return {q.id: known[q.id] for q in questions if q.id in known}


def _answers(entry: Entry) -> Value:
    """The choices taken, and all probabilities one after the other in thousandths."""
    return {
        "answers": [one.answer for one in entry.scored],
        "probabilities": [round(MILLE * p) for one in entry.scored for p in one.probability],
        "positions": _histogram([one.answer for one in entry.scored]),
    }


def _histogram(answers: Sequence[int]) -> list[int]:
    counts = Counter(answers)
    return [counts[choice] for choice in range(1, max(answers) + 1)]


def _parts(
    credits: Sequence[float], labels: Sequence[str], groups: Sequence[int]
) -> dict[str, list[float]]:
    """Label to [share, low, high, questions]."""
    parts = {}
    for label in _distinct(labels):
        rows = [i for i, own in enumerate(labels) if own == label]
        own = [credits[i] for i in rows]
        low, high = clustered_interval(own, [groups[i] for i in rows])
        share = math.fsum(own) / len(own)
        parts[label] = [round(share, DIGITS), round(low, DIGITS), round(high, DIGITS), len(own)]
    return parts


def _calibration(entry: Entry, right: Sequence[bool]) -> tuple[list[list[float]], float]:
    """Ten bins of equal width: [questions, mean probability, share right]; and their error.

    The error is the expected calibration error (Guo et al. 2017, arXiv 1706.04599).
    """
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for one, good in zip(entry.scored, right, strict=True):
        sure = max(one.probability)
        bins[min(int(sure * BINS), BINS - 1)].append((sure, good))
    rows: list[list[float]] = []
    error = 0.0
    for own in bins:
        sure, hits = math.fsum(p for p, _ in own), sum(good for _, good in own)
        error += abs(sure - hits)
        count = max(1, len(own))
        rows.append([len(own), round(sure / count, DIGITS), round(hits / count, DIGITS)])
    return rows, round(error / len(right), DIGITS)


def _distinct(labels: Any) -> list[str]:
    return [label for label in dict.fromkeys(labels) if label]


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, DIGITS) for name, value in values.items()}
