"""Accuracy of offline answers: whole, by half of the board, by subject."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from solution.core import aligned
from solution.exam import Question
from solution.finetune.material import Material
from solution.finetune.offline import Answers
from solution.scoring import ChoiceScores


def accuracies(answers: Answers, material: Material) -> dict[str, Any]:
    """Of the exams answered: `validation` (None without any), `test` where its key is known."""
    found: dict[str, Any] = {"validation": None}
    if material.validation:
        scored = answers.scored["validation"]
        found["validation"] = by_part(scored, material.validation, {})["overall"]
    if material.key_known and "test" in answers.scored:
        found["test"] = by_part(answers.scored["test"], material.test.questions, material.usage)
    return found


def by_part(
    scored: Sequence[ChoiceScores], questions: Sequence[Question], usage: dict[str, str]
) -> dict[str, float]:
    """Accuracy `overall`, in each half that `usage` names, and in each subject."""
    right: defaultdict[str, list[bool]] = defaultdict(list)
    for one, question in zip(scored, questions, strict=True):
        half = usage.get(question.id, "").lower()
        for part in ("overall", half, question.subject):
            if part:
                right[part].append(one.answer == question.answer)
    return {part: sum(hits) / len(hits) for part, hits in right.items()}


def before_after_table(run: Path) -> str:
    """A table of a finished run's accuracy before and after tuning, from its metrics.json."""
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    before, after = (
        {"validation": metrics[key]["validation"], **metrics[key].get("test", {})}
        for key in ("before", "after")
    )
    order = ("validation", "overall", "public", "private", *sorted(before))
    labels = {part: part for part in order} | {"overall": "test"}
    rows = [
        (
            label,
            f"{before[part]:.4f}",
            f"{after[part]:.4f}",
            _points(after[part] - before[part]),
        )
        for part, label in labels.items()
        if before.get(part) is not None
    ]
    table = aligned(["accuracy", "before", "after", "points"], rows)
    retrieval, memory = metrics.get("retrieval"), metrics.get("memory")
    if memory and memory["device"] == "cuda":
        planned, measured = memory["planned_gib"], memory["measured_gib"]
        table += f"\n\nmemory of the card: planned {planned} GiB, measured {measured} GiB"
    return f"{table}\n\n{_by_passages(retrieval)}" if retrieval else table


def _by_passages(retrieval: dict[str, Any]) -> str:
    """A table of the ways to answer: without passages and with them (counts)."""
    ways = retrieval["accuracy"]
    parts = {
        way: {"validation": found["validation"], **found.get("test", {})}
        for way, found in ways.items()
    }
    order = [part for part, value in parts["never"].items() if value is not None]
    rows = [
        ("test" if part == "overall" else part, *(f"{parts[way][part]:.4f}" for way in parts))
        for part in order
    ]
    return aligned(["passages of the wiki", *parts], rows)


def _points(difference: float) -> str:
    return f"{100 * difference:+.1f}"
