"""The command on a suite of benchmarks: ask every candidate every cell, print the tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from solution.core import UserError, atomic_write, log, open_run
from solution.explore.benchmarks.figures import figures, right_rows
from solution.explore.benchmarks.job import KEY, PREDICTIONS, BenchmarkJob
from solution.explore.benchmarks.published import Column, read_published
from solution.explore.benchmarks.suite import BenchmarkSuite, Task, load_benchmarks
from solution.explore.benchmarks.tables import tables, write_csv
from solution.explore.candidates import keep_failure, run_worker
from solution.explore.lock import alone
from solution.explore.suite import Entrant, folder_name
from solution.scoring import ChoiceScores, read_predictions


@dataclass
class Measured:
    """One candidate: its cells' figures, whether each row was right, and why cells lack."""

    name: str
    cells: dict[Column, dict[str, Any]] = field(default_factory=dict)
    right: dict[Column, list[bool]] = field(default_factory=dict)
    reason: str = ""


def explore_benchmarks(
    name: str, data: Path | None, out: Path | None, overrides: Sequence[str]
) -> str:
    """Ask the candidates of a suite its tasks and return its tables.

    Files go to runs/explore/<suite>/; a finished cell (a candidate, a task, its shots) whose
    inputs have not changed is not asked again, and an interrupted one goes on where it was.
    Raises UserError for faulty input before anything is written, and where nothing was scored.
    """
    suite = _present(load_benchmarks(name, data, overrides))
    published = read_published(suite.published, suite.family)
    home = out or Path("runs") / "explore" / folder_name(suite.name)
    measured = [Measured(candidate.name) for candidate in suite.candidates]
    with alone(home):
        for entrant, row in zip(suite.candidates, measured, strict=True):
            _measure(suite, entrant, row, home)
            write_csv(home / "results.csv", suite, measured, published)
            with atomic_write(home / "results.md") as partial:
                page = tables(suite, measured, published, as_markdown=True)
                partial.write_text(page, encoding="utf-8")
    if not any(row.cells for row in measured):
        reasons = dict.fromkeys(f"  {row.name}: {row.reason}" for row in measured)
        raise UserError("\n".join(["no candidate could be scored:", *reasons]))
    return f"{tables(suite, measured, published)}\n\nIn full: {home / 'results.csv'}"


def _present(suite: BenchmarkSuite) -> BenchmarkSuite:
    """The suite without the question sets that the user does not have, each told.

    Raises UserError where no task is left, or a task's files are absent that others publish.
    """
    lacking = [t for t in suite.tasks if not suite.benchmark(t, t.shots[0]).at_hand]
    if not lacking:
        return suite
    places = [str(Path(suite.data or "DIR") / (task.file or task.task)) for task in lacking]
    if suite.family != "exam" or len(lacking) == len(suite.tasks):
        raise UserError(
            f"not there: {', '.join(places)}. Name the folder that holds these files with "
            "--data DIR; without it, rows come from the hub where it has them."
        )
    for task, place in zip(lacking, places, strict=True):
        log(f"{task.task}: {place} is not there; its column is left out")
    return suite.model_copy(update={"tasks": [t for t in suite.tasks if t not in lacking]})


def _measure(suite: BenchmarkSuite, entrant: Entrant, row: Measured, home: Path) -> None:
    columns = [(task, shots) for task in suite.tasks for shots in task.shots]
    job = BenchmarkJob(
        name=entrant.name,
        place=home / folder_name(entrant.name),
        reference=entrant.reference,
        benchmarks=tuple(suite.benchmark(task, shots) for task, shots in columns),
        batch_tokens=suite.batch_tokens,
    )
    try:
        runs = _runs(job)
        if all(run.finished for run in runs):
            log(f"{job.name}: nothing has changed, its finished runs are used again")
        else:
            row.reason = run_worker("solution.explore.benchmarks.worker", job)
        for run in runs:
            with suppress(OSError):  # stays where an attempt left something to go on from
                run.work.rmdir()
        for (task, shots), run in zip(columns, runs, strict=True):
            if run.finished:
                _read(row, task, shots, run.directory)
    except UserError as error:
        row.reason = str(error)
    if row.reason:
        row.reason = keep_failure(job, row.reason)
    else:
        job.failed_log.unlink(missing_ok=True)


def _runs(job: BenchmarkJob) -> list[Any]:
    made_by = job.made_by()
    return [open_run(job.cell(one), job.inputs(one, made_by)) for one in job.benchmarks]


def _read(row: Measured, task: Task, shots: int, place: Path) -> None:
    try:
        scored: list[ChoiceScores] = read_predictions(place / PREDICTIONS)
        key = json.loads((place / KEY).read_text(encoding="utf-8"))
        measured = json.loads((place / "metrics.json").read_text(encoding="utf-8"))
        earned = figures(task.figure, key, scored)
    except (UserError, OSError, ValueError, KeyError) as error:
        raise UserError(f"{place}: {error}: remove it and run this again.") from error
    row.cells[task.task, shots] = measured | earned
    row.right[task.task, shots] = right_rows(key, scored)
