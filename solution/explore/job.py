"""The job: everything that a worker needs to score one candidate, as one line of JSON."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from solution import __version__
from solution.core import fingerprint
from solution.exam import Prompt, Question
from solution.models import ModelReference, weights_fingerprint
from solution.scoring import BenchmarkTask, Debias, GenerationConfig

PREDICTIONS, KEY, PROGRESS = "predictions.parquet", "key.json", "progress.json"


class ExamCell(BaseModel):
    """An exam for one candidate; the finished run goes to `path`."""

    name: str
    path: Path
    questions: tuple[Question, ...]
    prompt: Prompt
    permutations: int = 1
    debias: Debias = "none"
    generation: GenerationConfig | None = None

    def inputs(self) -> dict[str, Any]:
        """Return what decides the predictions.

        Not the answers (a corrected key needs no new scoring), nor the batch size.
        """
        asked = [asdict(question) for question in self.questions]
        return {
            **self.model_dump(
                mode="json", include={"prompt", "permutations", "debias", "generation"}
            ),
            "questions": {"number": len(asked), "sha256": fingerprint(asked)},
        }


class TaskCell(BaseModel):
    """A benchmark task for one candidate; the finished run goes to `path`."""

    name: str
    path: Path
    task: BenchmarkTask
    excluded: frozenset[str] = frozenset()

    def inputs(self) -> dict[str, Any]:
        """Return what decides the predictions."""
        return {"benchmark": self.task.inputs(), "excluded": sorted(self.excluded)}


Cell = ExamCell | TaskCell


class Job(BaseModel):
    """One candidate and the cells (exams and tasks) to score it on; `path` names its log."""

    name: str
    path: Path
    reference: ModelReference
    cells: tuple[Cell, ...]
    batch_tokens: int

    @property
    def log(self) -> Path:
        """The log of attempts while the job is not finished."""
        return self.path.with_name(f".{self.path.name}.log")

    @property
    def failed_log(self) -> Path:
        """The log of a failed attempt."""
        return self.path.with_name(f"{self.path.name}.failed.log")

    @property
    def cache(self) -> Path:
        """The cache of scores, shared by the candidates of a suite."""
        return self.path.with_name(".scores.sqlite")

    def model_inputs(self) -> dict[str, Any]:
        """Return what identifies the model; raises UserError where it is missing."""
        return {
            "version": __version__,
            "model": self.reference.model_dump(),
            "weights": weights_fingerprint(self.reference),
        }


def without_answers(questions: Sequence[Question]) -> tuple[Question, ...]:
    """Return the questions as a candidate sees them: no answers, no metadata."""
    return tuple(replace(q, answer=None, subject="", source="") for q in questions)


def display_path(path: Path) -> str:
    """Return the path as the user would type it."""
    with suppress(ValueError):
        return str(path.resolve().relative_to(Path.cwd()))
    return str(path)
