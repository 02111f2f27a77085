"""One candidate: its finished run is found, or a worker makes it; and what became of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from solution.core import UserError, log, open_run
from solution.explore.job import PREDICTIONS, Job, Logged
from solution.scoring import ChoiceScores, read_predictions

# Entered with a candidate's name, its work folder and its questions while it is being scored.
Watch = Callable[[str, Path, int], AbstractContextManager[None]]


@dataclass(frozen=True)
class Outcome:
    """What became of one candidate: predictions and measurements, or why there are none."""

    name: str
    scored: list[ChoiceScores] | None = None
    measured: dict[str, Any] | None = None
    reason: str = ""

    @property
    def answers(self) -> list[int]:
        """The chosen choice of each question, in the exam's order; empty where it failed."""
        return [one.answer for one in self.scored or []]


def outcome_of(job: Job, watch: Watch) -> Outcome:
    """Reuse the finished run of this job or make it; a failure is told, not raised."""
    reason = attempt(job, watch)
    return failed(job, reason) if reason else finished(job)


def attempt(job: Job, watch: Watch = lambda *_: nullcontext()) -> str:
    """See to it that the job's finished run is in its place; return why it is not, or ''."""
    try:
        run = open_run(job.place, job.inputs())
    except UserError as error:
        return str(error)
    if run.finished:
        log(f"{job.name}: nothing has changed, its finished run is used again")
    else:
        log(f"{job.name}: scoring {len(job.questions)} questions")
        with watch(job.name, run.work, len(job.questions)):
            reason = run_worker("solution.explore.worker", job)
        with suppress(OSError):  # stays where an attempt left something to go on from
            run.work.rmdir()
        return reason
    return ""


def finished(job: Job) -> Outcome:
    """The outcome of a job whose finished run is in its place."""
    job.failed_log.unlink(missing_ok=True)
    try:
        scored = read_predictions(job.place / PREDICTIONS)
        measured = json.loads((job.place / "metrics.json").read_text(encoding="utf-8"))
    except (UserError, OSError, ValueError) as error:
        return failed(job, f"{error}: remove {_shown(job.place)} and run this again")
    if [one.id for one in scored] != [question.id for question in job.questions]:
        return failed(job, f"{_shown(job.place)}: not the exam's questions; remove it")
    return Outcome(job.name, scored, measured)


def failed(job: Job, reason: str) -> Outcome:
    """The outcome of a job that could not be done; the log stays for the user."""
    return Outcome(job.name, reason=keep_failure(job, reason))


def keep_failure(job: Logged, reason: str) -> str:
    """Set the log aside, tell the reason, and give it on one line."""
    if job.log.exists():
        job.log.replace(job.failed_log)
    reason = " ".join(reason.split())
    log(f"{job.name}: failed: {reason}")
    return reason


def run_worker(module: str, job: Logged) -> str:
    """Run one worker to its end, or end it where we are interrupted; return why it failed."""
    job.log.parent.mkdir(parents=True, exist_ok=True)
    worker = subprocess.Popen(
        [sys.executable, "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=_environment(),
    )
    assert worker.stdin is not None and worker.stdout is not None
    try:
        with suppress(BrokenPipeError):
            worker.stdin.write(job.to_json() + "\n")
            worker.stdin.flush()
        # stdin stays open: its end tells the worker that we are gone
        said = worker.stdout.read()
        return _reason(job, worker.wait(), said)
    finally:
        worker.kill()
        worker.wait()
        with suppress(BrokenPipeError):
            worker.stdin.close()
        worker.stdout.close()


def _environment() -> dict[str, str]:
    """Ours, and the project importable from whatever folder we were called in."""
    paths = [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}


def _reason(job: Logged, status: int, said: str) -> str:
    if status == 0:
        return ""
    log = f"the log is {_shown(job.failed_log)}" if job.log.exists() else "see the lines above"
    lines = said.strip().splitlines()
    if status == 2 and lines:
        return str(json.loads(lines[-1])["reason"])
    if status == -signal.SIGKILL:
        return (
            "killed by the system, most likely for want of memory: take a smaller model, "
            f"`quantization: 4bit` or a machine with more memory ({log})"
        )
    if status < 0:
        name = signal.Signals(-status).name
        return f"crashed ({name}): run it again, and if it stays, ask ./run.sh doctor ({log})"
    return f"ended with status {status}: {log}"


def _shown(path: Path) -> str:
    """The path as the user would type it."""
    with suppress(ValueError):
        return str(path.resolve().relative_to(Path.cwd()))
    return str(path)
