"""Candidates: finished runs are reused, the others are made by worker processes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any

from solution.core import Run, UserError, log, open_run
from solution.explore.job import KEY, PREDICTIONS, Cell, ExamCell, Job, display_path
from solution.explore.workers import Workers
from solution.scoring import ChoiceScores, read_predictions

# Entered with a job and its runs while it is being scored.
ProgressHook = Callable[[Job, list[Run]], AbstractContextManager[None]]


@dataclass(frozen=True)
class CellResult:
    """A finished cell: scores, measurements, and for a task the key to its rows."""

    scored: list[ChoiceScores]
    metrics: dict[str, Any]
    key: dict[str, list[Any]] | None = None

    @property
    def answers(self) -> list[int]:
        """The choice taken for each question, in order."""
        return [one.answer for one in self.scored]


@dataclass(frozen=True)
class CandidateResult:
    """A candidate's finished cells by name, and why the others are missing."""

    name: str
    cells: dict[str, CellResult] = field(default_factory=dict)
    reason: str = ""


def run_candidates(
    jobs: Iterable[Job], hook: ProgressHook
) -> Iterator[tuple[Job, CandidateResult]]:
    """Score jobs one after another in worker processes."""
    with Workers() as workers:
        for job in jobs:
            yield job, result_of(job, run_job(job, workers, hook))


def open_runs(job: Job) -> list[Run]:
    """Open the run of every cell; raises UserError where the model or a file is missing."""
    model_inputs = job.model_inputs()
    return [open_run(cell.path, model_inputs | cell.inputs()) for cell in job.cells]


def run_job(job: Job, workers: Workers, hook: ProgressHook = lambda *_: nullcontext()) -> str:
    """Make the runs of a job that are not finished; return why that failed, or ''."""
    try:
        runs = open_runs(job)
    except UserError as error:
        return str(error)
    if all(run.finished for run in runs):
        log(f"{job.name}: nothing has changed, reusing its finished run")
        return ""
    rows = [len(cell.questions) for cell in job.cells if isinstance(cell, ExamCell)]
    log(f"{job.name}: scoring " + (f"{sum(rows)} questions" if rows else f"{len(runs)} tasks"))
    with hook(job, runs):
        reason = workers.run(job)
    for run in runs:
        with suppress(OSError):  # not empty where an attempt left something to resume from
            run.work.rmdir()
    return reason


def result_of(job: Job, reason: str) -> CandidateResult:
    """Read the finished cells of a job; a failure is logged and becomes one line."""
    cells: dict[str, CellResult] = {}
    try:
        for cell, run in zip(job.cells, open_runs(job), strict=True):
            if run.finished:
                cells[cell.name] = _read(cell)
            with suppress(OSError):
                run.work.rmdir()
    except UserError as error:
        reason = reason or str(error)
    if reason:
        if job.log.exists():
            job.log.replace(job.failed_log)
        reason = " ".join(reason.split())
        log(f"{job.name}: failed: {reason}")
    else:
        job.failed_log.unlink(missing_ok=True)
        job.log.unlink(missing_ok=True)
    return CandidateResult(job.name, cells, reason)


def _read(cell: Cell) -> CellResult:
    def read_json(name: str) -> Any:
        return json.loads((cell.path / name).read_text(encoding="utf-8"))

    try:
        scored = read_predictions(cell.path / PREDICTIONS)
        key = None if isinstance(cell, ExamCell) else read_json(KEY)
        result = CellResult(scored, read_json("metrics.json"), key)
    except (UserError, OSError, ValueError) as error:
        raise UserError(f"{error}: delete {display_path(cell.path)} and rerun") from error
    ids = [one.id for one in scored]
    if isinstance(cell, ExamCell) and ids != [question.id for question in cell.questions]:
        raise UserError(
            f"{display_path(cell.path)}: not the exam's questions; delete it and rerun"
        )
    return result
