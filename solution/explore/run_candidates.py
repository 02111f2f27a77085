"""Candidates: finished runs are reused, the others are made by a worker process each."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from solution.core import Run, UserError, log, open_run
from solution.explore.job import KEY, PREDICTIONS, Cell, ExamCell, Job
from solution.scoring import ChoiceScores, read_predictions

# Entered with a job and its runs while it is being scored.
ProgressHook = Callable[[Job, list[Run]], AbstractContextManager[None]]
WORKER = "solution.explore.worker"


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
    for job in jobs:
        yield job, result_of(job, run_job(job, hook))


def open_runs(job: Job) -> list[Run]:
    """Open the run of every cell; raises UserError where the model or a file is missing."""
    model_inputs = job.model_inputs()
    return [open_run(cell.path, model_inputs | cell.inputs()) for cell in job.cells]


def run_job(job: Job, hook: ProgressHook = lambda *_: nullcontext()) -> str:
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
        reason = run_worker(job)
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
        raise UserError(f"{error}: delete {_shown(cell.path)} and rerun") from error
    ids = [one.id for one in scored]
    if isinstance(cell, ExamCell) and ids != [question.id for question in cell.questions]:
        raise UserError(f"{_shown(cell.path)}: not the exam's questions; delete it and rerun")
    return result


def run_worker(job: Job) -> str:
    """Run one worker to its end, or kill it where we are interrupted; return why it failed."""
    job.log.parent.mkdir(parents=True, exist_ok=True)
    worker = subprocess.Popen(
        [sys.executable, "-m", WORKER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=_environment(),
    )
    assert worker.stdin is not None and worker.stdout is not None
    try:
        with suppress(BrokenPipeError):
            worker.stdin.write(job.model_dump_json() + "\n")
            worker.stdin.flush()
        # stdin stays open: its end tells the worker that this process is gone
        output = worker.stdout.read()
        return _reason(job, worker.wait(), output)
    finally:
        worker.kill()
        worker.wait()
        with suppress(BrokenPipeError):
            worker.stdin.close()
        worker.stdout.close()


def _environment() -> dict[str, str]:
    """Return the environment, with the project importable from any directory."""
    paths = [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")]
    pythonpath = os.pathsep.join(path for path in paths if path)
    # Libraries show no bars: progress goes to a file.
    return {**os.environ, "PYTHONPATH": pythonpath, "TQDM_DISABLE": "1"}


def _reason(job: Job, status: int, output: str) -> str:
    if status == 0:
        return ""
    log = f"log: {_shown(job.failed_log)}" if job.log.exists() else "see the lines above"
    lines = output.strip().splitlines()
    if status == 2 and lines:
        return str(json.loads(lines[-1])["reason"])
    if status == -signal.SIGKILL:
        return (
            "killed by the OS, probably out of memory: use a smaller model, "
            f"`quantization: 4bit` or a machine with more memory ({log})"
        )
    if status < 0:
        name = signal.Signals(-status).name
        return f"crashed ({name}): retry; if it persists, run ./run.sh doctor ({log})"
    return f"ended with status {status} ({log})"


def _shown(path: Path) -> str:
    """The path as the user would type it."""
    with suppress(ValueError):
        return str(path.resolve().relative_to(Path.cwd()))
    return str(path)
