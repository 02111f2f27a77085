"""Asks one candidate its benchmarks: the process behind `explore` on a suite of tasks.

The model is loaded once for all cells; each cell is a run of its own, in its place when it is
done. What a cell had computed when it was interrupted lies in the cache of scores.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from solution.core import Run, open_run, write_json
from solution.explore.benchmarks.job import KEY, PREDICTIONS, BenchmarkJob
from solution.explore.parts import Log, peak_memory_gib
from solution.explore.worker import CACHE, work
from solution.models import LoadedModel, load
from solution.scoring import (
    Benchmark,
    Given,
    ScoreCache,
    TokenCounts,
    ask,
    rows_mark,
    token_metrics,
    write_predictions,
)


def answer_all(job: BenchmarkJob, log: Log) -> None:
    """Make the runs of all cells that have none; raises UserError at the first that fails."""
    log(f"loading {job.reference.model}")
    loaded = load(job.reference)
    made_by = job.made_by()
    cache = ScoreCache(job.place.with_name(CACHE), {"inputs": made_by, "dtype": loaded.dtype})
    for number, benchmark in enumerate(job.benchmarks, start=1):
        run = open_run(job.cell(benchmark), job.inputs(benchmark, made_by))
        if run.finished:
            continue
        label = f"{job.name}: {benchmark.task} {benchmark.shots}-shot"
        log(f"{label} ({number} of {len(job.benchmarks)})")
        _make(run, loaded, benchmark, cache, job=job, label=label)
        log(f"{run.directory.name} done")


def _make(
    run: Run,
    loaded: LoadedModel,
    benchmark: Benchmark,
    cache: ScoreCache,
    *,
    job: BenchmarkJob,
    label: str,
) -> None:
    start, spent = time.perf_counter(), TokenCounts()
    given = ask(
        loaded,
        benchmark,
        batch_tokens=job.batch_tokens,
        cache=cache,
        work=spent,
        label=label,
    )
    seconds = time.perf_counter() - start
    produced_by = {"model": job.reference.model_dump(), "run": run.fingerprint}
    write_predictions(run.work / PREDICTIONS, given.scored, produced_by)
    write_json(run.work / KEY, _key(given))
    measured = {
        "rows": len(given.rows),
        "rows_sha256": rows_mark(given.rows),
        "truncated_rows": given.truncated,
        "excluded_rows": given.excluded,
        "seconds": seconds,
        "peak_memory_gib": peak_memory_gib(loaded.device),
        "device": loaded.device,
        # what an earlier attempt left in the cache was not computed again
        **token_metrics(spent),
    }
    run.finalize(measured)


def _key(given: Given) -> dict[str, Any]:
    """What scoring needs of the rows, none of their text; groups become numbers."""
    numbers: dict[str, int] = {}
    # A row without a group is a group of its own.
    groups = [numbers.setdefault(r.group or f"\0{r.id}", len(numbers)) for r in given.rows]
    return {
        "answer": [row.answer for row in given.rows],
        "group": groups,
        "subject": [row.subject for row in given.rows],
        "true": [list(row.true) for row in given.rows],
        "spontaneous": given.spontaneous,
    }


if __name__ == "__main__":
    sys.exit(work(BenchmarkJob.from_json, answer_all))
