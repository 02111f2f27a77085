"""Scoring exams in a process of its own, and the accuracies of a fine-tuning.

Unsloth patches transformers in the process that trains, so scores are taken where it was never
imported, by the scorer of `explore` and `predict`.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from solution.core import aligned
from solution.exam import Prompt, Question
from solution.finetune.data import FinetuneData
from solution.finetune.worker_process import run_in_process
from solution.models import ModelReference, load
from solution.scoring import ChoiceScores, evaluate

# Share of one answer from which on answers are called constant; too few questions to compare.
CONSTANT, FEW_QUESTIONS = 0.95, 100


class EvalResult(NamedTuple):
    """The scores and counts by exam, and how the model was loaded."""

    scored: dict[str, list[ChoiceScores]]
    counts: dict[str, dict[str, Any]]
    max_length: int
    dtype: str
    plan: dict[str, Any]
    """What the argument `plan` returned."""


Plan = Callable[[int, str], dict[str, Any]]


def evaluate_in_subprocess(
    reference: ModelReference,
    prompt: Prompt,
    exams: Mapping[str, Sequence[Question]],
    batch_tokens: int,
    plan: Plan | None = None,
) -> EvalResult:
    """Load the model and score `exams` (label to questions) in a new process.

    `plan` is called there too, with the model's maximum length and dtype. Raises UserError as
    `load` does, and where the process was killed.
    """
    killed = (
        f"scoring with {reference.model} was killed, probably out of memory. Free some memory, "
        "or use a smaller model or --set model.quantization=4bit."
    )
    return run_in_process(
        evaluate_exams, reference, prompt, dict(exams), batch_tokens, plan, killed=killed
    )


def evaluate_exams(
    reference: ModelReference,
    prompt: Prompt,
    exams: Mapping[str, Sequence[Question]],
    batch_tokens: int,
    plan: Plan | None = None,
) -> EvalResult:
    """Load the model and score `exams` in this process."""
    loaded = load(reference)
    scored, counts = {}, {}
    for label, questions in exams.items():
        scored[label], counts[label] = evaluate(
            loaded, questions, prompt, batch_tokens=batch_tokens, label=label
        )
    planned = plan(loaded.max_length, loaded.dtype) if plan else {}
    return EvalResult(scored, counts, loaded.max_length, loaded.dtype, planned)


def accuracies(scored: Mapping[str, list[ChoiceScores]], data: FinetuneData) -> dict[str, Any]:
    """Return the accuracy on `validation` (None without any) and on `test`, if it has a key."""
    found: dict[str, Any] = {"validation": None}
    if data.validation:
        found["validation"] = by_group(scored["validation"], data.validation, {})["overall"]
    if data.test_has_answers and "test" in scored:
        found["test"] = by_group(scored["test"], data.test.questions, data.usage)
    return found


def by_group(
    scored: Sequence[ChoiceScores], questions: Sequence[Question], usage: Mapping[str, str]
) -> dict[str, float]:
    """Return the accuracy `overall`, by half of the leaderboard and by subject."""
    correct: defaultdict[str, list[bool]] = defaultdict(list)
    for one, question in zip(scored, questions, strict=True):
        for group in ("overall", usage.get(question.id, "").lower(), question.subject):
            if group:
                correct[group].append(one.answer == question.answer)
    return {group: sum(hits) / len(hits) for group, hits in correct.items()}


def warnings(
    label: str, scored: Sequence[ChoiceScores], asked: Sequence[Question]
) -> list[str]:
    """Return why the accuracy on an exam says little, one line each."""
    if not asked or any(question.answer is None for question in asked):
        return []
    found, count = [], len(asked)
    answer, times = Counter(one.answer for one in scored).most_common(1)[0]
    if times >= CONSTANT * count:
        found.append(f"{label}: answer {answer} to {times / count:.0%} of the questions")
    right = sum(one.answer == q.answer for one, q in zip(scored, asked, strict=True))
    always, hits = Counter(q.answer for q in asked).most_common(1)[0]
    if right <= hits:
        found.append(f"{label}: no better than always answering {always} ({hits / count:.4f})")
    if count < FEW_QUESTIONS:
        half = 1.96 * (right / count * (1 - right / count) / count) ** 0.5
        found.append(f"{label}: only {count} questions, so ±{100 * half:.0f} points by chance")
    return found


def before_after_table(run: Path) -> str:
    """Format the accuracies of a finished run before and after training."""
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    before, after = _flat(metrics["before"]), _flat(metrics["after"])
    order = dict.fromkeys(("validation", "overall", "public", "private", *sorted(before)))
    rows = [
        (
            "test" if group == "overall" else group,
            f"{before[group]:.4f}",
            f"{after[group]:.4f}",
            f"{100 * (after[group] - before[group]):+.1f}",
        )
        for group in order
        if before.get(group) is not None
    ]
    parts = [aligned(["accuracy", "before", "after", "points"], rows)]
    if found := metrics.get("warnings"):
        parts.append("\n".join(found))
    memory, retrieval = metrics.get("memory"), metrics.get("retrieval")
    if memory and memory["device"] == "cuda":
        planned, measured = memory["planned_gib"], memory["measured_gib"]
        parts.append(f"GPU memory: planned {planned} GiB, measured {measured} GiB")
    if retrieval:
        ways = {way: _flat(found) for way, found in retrieval["accuracy"].items()}
        groups = [group for group, value in ways["without"].items() if value is not None]
        body = [
            ("test" if g == "overall" else g, *(f"{way[g]:.4f}" for way in ways.values()))
            for g in groups
        ]
        parts.append(aligned(["passages of the wiki", *ways], body))
    return "\n\n".join(parts)


def _flat(accuracy: Mapping[str, Any]) -> dict[str, Any]:
    return {"validation": accuracy["validation"], **accuracy.get("test", {})}
