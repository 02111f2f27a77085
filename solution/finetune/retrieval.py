"""Answering with and without a wiki's passages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from solution.core import atomic_write
from solution.exam import Prompt, Question
from solution.finetune.material import Material
from solution.finetune.offline import Answers
from solution.finetune.recipe import Retrieval
from solution.finetune.scores import accuracies
from solution.kowiki import RetrievedPassages, retrieve_passages
from solution.scoring import ChoiceScores

RETRIEVED = "retrieved.parquet"
SHOWN = " with passages"
"""After an exam's label: the same exam's questions with their passages."""


class Gated(NamedTuple):
    """The answers that count, and what each way of answering earns."""

    answers: Answers
    metrics: dict[str, Any]


def retrieved(
    plan: Retrieval | None, material: Material, prompt: Prompt
) -> dict[str, RetrievedPassages]:
    """For each exam the questions with their passages; empty where the recipe has no plan."""
    if plan is None:
        return {}
    exams = {"validation": material.validation, "test": material.test.questions}
    return {
        label: retrieve_passages(q, plan, prompt, label=label) for label, q in exams.items()
    }


def shown_in_training(
    plan: Retrieval | None, material: Material, prompt: Prompt
) -> dict[str, Question]:
    """Training questions, of the exam and the wiki, with their passages; by id."""
    if plan is None or not plan.in_training:
        return {}
    questions = (*material.train, *material.wiki.questions)
    contexts = retrieve_passages(questions, plan, prompt, label="training")
    return {q.id: q for q, f in zip(contexts.questions, contexts.found, strict=True) if f.hits}


def shown(contexts: dict[str, RetrievedPassages]) -> dict[str, Sequence[Question]]:
    """What has to be answered besides the exams themselves: questions that got passages."""
    return {
        label + SHOWN: [q for q, f in zip(c.questions, c.found, strict=True) if f.hits]
        for label, c in contexts.items()
    }


def gate_answers(
    contexts: dict[str, RetrievedPassages], answers: Answers, material: Material, work: Path
) -> Gated:
    """Answer every question with its passages where it has any, and compare both ways."""
    if not contexts:
        return Gated(answers, {})
    always = {label: _joined(label, contexts[label], answers) for label in contexts}
    never = {label: answers.scored[label] for label in contexts}
    _write_retrieved(work / RETRIEVED, material.test.questions, contexts["test"])
    metrics = {
        "shown": {label: sum(bool(f.hits) for f in c.found) for label, c in contexts.items()},
        "accuracy": {
            way: accuracies(answers._replace(scored=scored), material)
            for way, scored in {"never": never, "always": always}.items()
        },
    }
    return Gated(answers._replace(scored=answers.scored | always), metrics)


def _write_retrieved(
    path: Path, questions: Sequence[Question], contexts: RetrievedPassages
) -> None:
    """The passages that test questions were answered with, for the report."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [
        {"id": q.id, "title": hit.passage.heading, "text": hit.passage.text, "score": hit.score}
        for q, found in zip(questions, contexts.found, strict=True)
        for hit in found.hits
    ]
    text = [(name, pa.string()) for name in ("id", "title", "text")]
    schema = pa.schema([*text, ("score", pa.float64())])
    with atomic_write(path) as partial:
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), partial)


def _joined(label: str, contexts: RetrievedPassages, answers: Answers) -> list[ChoiceScores]:
    """Every question's answer, with its passages where it has any."""
    with_passages = iter(answers.scored[label + SHOWN])
    return [
        next(with_passages) if found.hits else plain
        for found, plain in zip(contexts.found, answers.scored[label], strict=True)
    ]
