"""Scoring with and without a wiki's passages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from solution.core import atomic_write
from solution.exam import Prompt, Question
from solution.finetune.data import FinetuneData
from solution.finetune.evaluate import accuracies
from solution.finetune.recipe import Retrieval
from solution.kowiki import RetrievedPassages, retrieve_passages
from solution.scoring import ChoiceScores

RETRIEVED = "retrieved.parquet"
WITH_PASSAGES = " with passages"
"""Suffix of an exam's label: its questions that have passages."""
Scored = dict[str, list[ChoiceScores]]


def retrieve(
    config: Retrieval | None, data: FinetuneData, prompt: Prompt
) -> dict[str, RetrievedPassages]:
    """Retrieve the passages of the validation and test questions; empty without a config."""
    if config is None:
        return {}
    exams = {"validation": data.validation, "test": data.test.questions}
    return {
        label: retrieve_passages(questions, config, prompt, label=label)
        for label, questions in exams.items()
    }


def training_passages(
    config: Retrieval | None, data: FinetuneData, prompt: Prompt
) -> dict[str, Question]:
    """Return the training questions that have passages, with them, by id."""
    if config is None or not config.train_fraction:
        return {}
    questions = (*data.train, *data.wiki.questions)
    retrieved = retrieve_passages(questions, config, prompt, label="training")
    return {question.id: question for question in _with_hits(retrieved)}


def exams_with_passages(
    retrieved: dict[str, RetrievedPassages],
) -> dict[str, Sequence[Question]]:
    """Return the exams to score besides the plain ones."""
    return {label + WITH_PASSAGES: _with_hits(one) for label, one in retrieved.items()}


def combine_scores(
    retrieved: dict[str, RetrievedPassages], scored: Scored, data: FinetuneData
) -> tuple[Scored, dict[str, Any]]:
    """Return the scores, with passages where a question has any, and metrics of both ways."""
    if not retrieved:
        return scored, {}
    combined: Scored = {}
    for label, one in retrieved.items():
        with_passages = iter(scored[label + WITH_PASSAGES])
        combined[label] = [
            next(with_passages) if found.hits else plain
            for found, plain in zip(one.found, scored[label], strict=True)
        ]
    metrics = {
        "with_passages": {label: len(_with_hits(one)) for label, one in retrieved.items()},
        "accuracy": {
            "without": accuracies(scored, data),
            "with": accuracies(combined, data),
        },
    }
    return scored | combined, metrics


def write_retrieved(path: Path, retrieved: RetrievedPassages) -> None:
    """Write the passages that were shown with each question, for the report."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [
        {"id": q.id, "title": hit.passage.heading, "text": hit.passage.text, "score": hit.score}
        for q, found in zip(retrieved.questions, retrieved.found, strict=True)
        for hit in found.hits
    ]
    text = [(name, pa.string()) for name in ("id", "title", "text")]
    schema = pa.schema([*text, ("score", pa.float64())])
    with atomic_write(path) as partial:
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), partial)


def _with_hits(retrieved: RetrievedPassages) -> list[Question]:
    pairs = zip(retrieved.questions, retrieved.found, strict=True)
    return [question for question, found in pairs if found.hits]
