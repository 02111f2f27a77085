"""Scores candidates: `python -m solution.explore.worker`, with jobs as lines of JSON on stdin.

A process per candidate returns all its memory, and its crash ends nothing else. Its exit status
is 0 where every cell's run is finished, and 2 where a reason is given.
"""

from __future__ import annotations

import faulthandler
import fcntl
import json
import os
import shutil
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from solution.core import Run, UserError, open_run, write_json
from solution.explore.generative import evaluate_generated
from solution.explore.job import KEY, PREDICTIONS, ExamCell, Job, TaskCell
from solution.explore.live_progress import ProgressFile
from solution.models import LoadedModel, load
from solution.scoring import (
    ChoiceScores,
    evaluate,
    evaluate_benchmark,
    open_score_cache,
    trained_rows,
    write_predictions,
)

OUT_OF_MEMORY = (
    "out of memory: use a smaller model, `quantization: 4bit`, a smaller batch_tokens "
    "or a machine with more memory"
)
Log = Callable[[str], None]
Options = dict[str, Any]
Scored = tuple[list[ChoiceScores], dict[str, Any]]


def main() -> None:
    """Run the jobs on stdin, a line each; print status and reason of each on stdout."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends this one
    results, sys.stdout = sys.stdout, sys.stderr  # libraries may print: not on this pipe
    _preload()
    # not `for line in stdin`: it would read ahead, and a job's process reads there too
    while line := sys.stdin.readline():
        status, reason = _in_a_fork(line)
        print(json.dumps({"status": status, "reason": reason}), file=results, flush=True)


def _preload() -> None:
    """Import what every candidate needs (6 s) before the first fork.

    Not where there is an NVIDIA card: a library may ask CUDA for its devices while it is
    imported, and CUDA can't be used in a fork after that.
    """
    if not any(Path("/dev").glob("nvidia*")):
        from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: F401
        from transformers.models.qwen2 import modeling_qwen2  # noqa: F401


def _in_a_fork(line: str) -> tuple[int, str]:
    """Do one job in a forked process; return its exit status (-signal where killed), reason."""
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        # OpenBLAS' threads are idle here, and it renews them in a fork itself
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        os.close(reader)
        status = 1
        try:
            status = _work(line, writer)
        except Exception:
            traceback.print_exc()
        sys.stderr.flush()
        os._exit(status)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as stream:
        reason = stream.read()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), reason


def _work(line: str, writer: int) -> int:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    job = Job.model_validate_json(line)
    with job.log.open("a", encoding="utf-8") as stream:
        # A worker of a lost node may still be running when its job starts elsewhere.
        fcntl.flock(stream, fcntl.LOCK_EX)
        faulthandler.enable(stream)
        reason = attempt(job, stream)
    with os.fdopen(writer, "w", encoding="utf-8") as pipe:
        pipe.write(reason)
    return 2 if reason else 0


def _end_with_parent() -> None:
    """End when stdin closes: the command is gone, and nobody waits for the result."""
    os.read(0, 1)  # not sys.stdin, whose lock would still be held as the interpreter ends
    os._exit(1)


def attempt(job: Job, stream: IO[str]) -> str:
    """Score the job, logged to `stream`; return why it failed, or ''."""

    def log(text: str) -> None:
        print(time.strftime("%Y-%m-%d %H:%M:%S"), text, file=stream, flush=True)

    try:
        score_candidate(job, log)
    except UserError as error:
        reason = str(error)
    except Exception as error:
        traceback.print_exc(file=stream)
        reason = (
            OUT_OF_MEMORY if _is_out_of_memory(error) else f"{type(error).__name__}: {error}"
        )
    else:
        return ""
    log(f"failed: {reason}")
    return reason


def _is_out_of_memory(error: Exception) -> bool:
    # torch has one class for CUDA and a plain RuntimeError for main memory
    name = type(error).__name__
    return name in ("MemoryError", "OutOfMemoryError") or "can't allocate memory" in str(error)


def score_candidate(job: Job, log: Log) -> None:
    """Make the runs of all cells that have none; raises UserError at the first that fails."""
    log(f"loading {job.reference.model}")
    loaded = load(job.reference)
    model_inputs = job.model_inputs()
    cache = open_score_cache(job.cache, loaded, model_inputs["weights"])
    # parameters: weights packed in 4 bits are counted one by one
    facts = {"device": loaded.device, "parameters": loaded.model.num_parameters()}
    for cell in job.cells:
        run = open_run(cell.path, model_inputs | cell.inputs())
        if run.finished:
            continue
        log(f"{cell.name}: run {run.fingerprint[:8]} on {loaded.device} in {loaded.dtype}")
        progress = ProgressFile(run.work)
        options = {"batch_tokens": job.batch_tokens, "cache": cache}
        if isinstance(cell, TaskCell):
            scored, metrics = _score_task(loaded, cell, run, progress, options)
        else:
            scored, metrics = _score_exam(loaded, cell, run, progress, options)
        write_predictions(run.work / PREDICTIONS, scored, _produced_by(job, run))
        log(f"{cell.name}: finished")
        progress.remove()
        shutil.copyfile(job.log, run.work / "log.txt")
        run.finalize(metrics | facts)


def _score_task(
    loaded: LoadedModel, cell: TaskCell, run: Run, progress: ProgressFile, options: Options
) -> Scored:
    result = evaluate_benchmark(
        loaded,
        cell.task,
        label=cell.name,
        excluded=cell.excluded,
        on_progress=progress.count,
        **options,
    )
    write_json(run.work / KEY, result.key)
    return result.scored, result.metrics


def _score_exam(
    loaded: LoadedModel, cell: ExamCell, run: Run, progress: ProgressFile, options: Options
) -> Scored:
    progress.total = len(cell.questions)
    if cell.generation:
        return evaluate_generated(
            loaded, cell, work=run.work, on_scores=progress.add, **options
        )
    return evaluate(
        loaded,
        cell.questions,
        cell.prompt,
        permutations=cell.permutations,
        debias=cell.debias,
        on_scores=progress.add,
        **options,
    )


def _produced_by(job: Job, run: Run) -> dict[str, Any]:
    trained_on = trained_rows(job.reference)
    reference = job.reference.model_dump()
    return {"model": reference, "run": run.fingerprint, "trained_on": trained_on}


if __name__ == "__main__":
    main()
