"""Answering with and without a wiki's passages, and the gate between the two."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from solution.core import atomic_write, write_json
from solution.exam import Prompt, Question
from solution.finetune.material import Material
from solution.finetune.offline import Answers
from solution.finetune.recipe import Retrieval
from solution.finetune.scores import accuracies
from solution.kowiki import Contexts, learn_gate, with_contexts
from solution.scoring import ChoiceScores

GATE, RETRIEVED = "gate.json", "retrieved.parquet"
SHOWN = " with passages"
"""After an exam's label: the same exam's questions with their passages."""


class Gated(NamedTuple):
    """The answers that count, and what each way of answering earns."""

    answers: Answers
    metrics: dict[str, Any]


def retrieved(
    plan: Retrieval | None, material: Material, prompt: Prompt
) -> dict[str, Contexts]:
    """For each exam the questions with their passages; empty where the recipe has no plan."""
    if plan is None:
        return {}
    exams = {"validation": material.validation, "test": material.test.questions}
    return {label: with_contexts(q, plan, prompt, label=label) for label, q in exams.items()}


def shown_in_training(
    plan: Retrieval | None, material: Material, prompt: Prompt
) -> dict[str, Question]:
    """Training questions, of the exam and the wiki, with their passages; by id."""
    if plan is None or not plan.in_training:
        return {}
    questions = (*material.train, *material.wiki.questions)
    contexts = with_contexts(questions, plan, prompt, label="training")
    return {q.id: q for q, f in zip(contexts.questions, contexts.found, strict=True) if f.hits}


def shown(contexts: dict[str, Contexts]) -> dict[str, Sequence[Question]]:
    """What has to be answered besides the exams themselves: questions that got passages."""
    return {
        label + SHOWN: [q for q, f in zip(c.questions, c.found, strict=True) if f.hits]
        for label, c in contexts.items()
    }


def gate_answers(
    contexts: dict[str, Contexts], answers: Answers, material: Material, work: Path
) -> Gated:
    """Learn the gate on the validation questions, write it, and answer the test by it.

    Without validation questions the gate stands open for all that the plan admits.
    """
    if not contexts:
        return Gated(answers, {})
    always = {label: _joined(label, contexts[label], answers) for label in contexts}
    never = {label: answers.scored[label] for label in contexts}
    held, found = material.validation, contexts["validation"].found
    gate, opened = learn_gate(
        held, found, _right(never["validation"], held), _right(always["validation"], held)
    )
    write_json(work / GATE, gate.model_dump(mode="json"))
    test = material.test.questions
    opens = [gate.opens(q, f) for q, f in zip(test, contexts["test"].found, strict=True)]
    _write_retrieved(work / RETRIEVED, test, contexts["test"], opens)
    gated = {
        "validation": _chosen(opened, never["validation"], always["validation"]),
        "test": _chosen(opens, never["test"], always["test"]),
    }
    ways = {"never": never, "always": always, "gated": gated}
    metrics = {
        "shown": {label: sum(bool(f.hits) for f in c.found) for label, c in contexts.items()},
        "gate_open_on_test": sum(opens),
        "gate_learnt_from": gate.learnt_from,
        "accuracy": {
            way: accuracies(answers._replace(scored=scored), material)
            for way, scored in ways.items()
        },
    }
    return Gated(answers._replace(scored=answers.scored | gated), metrics)


def _write_retrieved(
    path: Path, questions: Sequence[Question], contexts: Contexts, opens: Sequence[bool]
) -> None:
    """The passages that test questions were answered with, for the report."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [
        {"id": q.id, "title": hit.passage.heading, "text": hit.passage.text, "score": hit.score}
        for q, found, is_open in zip(questions, contexts.found, opens, strict=True)
        for hit in found.hits
        if is_open
    ]
    text = [(name, pa.string()) for name in ("id", "title", "text")]
    schema = pa.schema([*text, ("score", pa.float64())])
    with atomic_write(path) as partial:
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), partial)


def _joined(label: str, contexts: Contexts, answers: Answers) -> list[ChoiceScores]:
    """Every question's answer, with its passages where it has any."""
    with_passages = iter(answers.scored[label + SHOWN])
    return [
        next(with_passages) if found.hits else plain
        for found, plain in zip(contexts.found, answers.scored[label], strict=True)
    ]


def _right(scored: Sequence[ChoiceScores], questions: Sequence[Question]) -> list[bool]:
    return [one.answer == q.answer for one, q in zip(scored, questions, strict=True)]


def _chosen(
    opened: Sequence[bool], never: Sequence[ChoiceScores], always: Sequence[ChoiceScores]
) -> list[ChoiceScores]:
    return [b if open_ else a for open_, a, b in zip(opened, never, always, strict=True)]
