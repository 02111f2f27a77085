"""Scores one candidate: `python -m solution.explore.worker`, the job on stdin.

A process of its own gives all memory back when it ends, and when it crashes nothing else does.
Exit status 0: the finished run is in its place; 2: stdout ends with the reason, in JSON.
"""

from __future__ import annotations

import faulthandler
import fcntl
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import IO, Any, TypeVar

from solution.core import Run, UserError, open_run
from solution.explore.generative import generate_in_parts
from solution.explore.job import PREDICTIONS, Job, Logged
from solution.explore.parts import Log, score_in_parts
from solution.models import LoadedModel, load
from solution.scoring import ScoreCache, trained_rows, write_predictions

PARTS = "parts"
TEXTS = "texts.jsonl"
CACHE = ".scores.sqlite"
MEMORY = (
    "out of memory: take a smaller model, `quantization: 4bit`, a smaller batch_tokens "
    "or a machine with more memory"
)

J = TypeVar("J", bound=Logged)


def work(read: Callable[[str], J], do: Callable[[J, Log], None]) -> int:
    """Do the job on stdin; say on stdout why where it can't be done."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is our parent's, which ends us
    results, sys.stdout = sys.stdout, sys.stderr  # libraries may print: not on this pipe
    job = read(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with job.log.open("a", encoding="utf-8") as stream:
        # A worker of a lost machine may still be ending when the job is begun again.
        fcntl.flock(stream, fcntl.LOCK_EX)
        faulthandler.enable(stream)
        reason = attempt(lambda log: do(job, log), stream)
    if reason:
        print(json.dumps({"reason": reason}), file=results, flush=True)
    return 2 if reason else 0


def _end_with_parent() -> None:
    """Stdin closes when the parent is gone; nobody waits for our result then."""
    os.read(0, 1)  # not sys.stdin: its lock would still be held as the interpreter ends
    os._exit(1)


def attempt(do: Callable[[Log], None], stream: IO[str]) -> str:
    """Do the work, logged to `stream`; return why it failed, or '' when it is done."""

    def log(text: str) -> None:
        print(time.strftime("%Y-%m-%d %H:%M:%S"), text, file=stream, flush=True)

    try:
        do(log)
    except UserError as error:
        reason = str(error)
    except Exception as error:
        traceback.print_exc(file=stream)
        reason = MEMORY if _is_memory(error) else f"{type(error).__name__}: {error}"
    else:
        return ""
    log(f"failed: {reason}")
    return reason


def _is_memory(error: Exception) -> bool:
    # torch has one class for CUDA and a plain RuntimeError for main memory
    name = type(error).__name__
    return name in ("MemoryError", "OutOfMemoryError") or "can't allocate memory" in str(error)


def _score_candidate(job: Job, log: Log) -> None:
    log(f"loading {job.reference.model}")
    loaded = load(job.reference)
    run = open_run(job.place, job.inputs())
    if run.finished:
        return
    log(f"run {run.fingerprint[:8]} on {loaded.device} in {loaded.dtype}")
    # Beside the runs, so that a changed exam or prompt computes its changed rows only.
    made_by = {"inputs": _model_inputs(job), "dtype": loaded.dtype}
    cache = ScoreCache(job.place.with_name(CACHE), made_by)
    parts = run.work / PARTS
    if job.generation:
        texts = run.work / TEXTS
        scored, measured = generate_in_parts(loaded, cache, job, parts, texts=texts, log=log)
    else:
        scored, measured = score_in_parts(loaded, cache, job, parts, log)
    produced_by = {
        "model": job.reference.model_dump(),
        "run": run.fingerprint,
        "trained_on": trained_rows(job.reference),
    }
    write_predictions(run.work / PREDICTIONS, scored, produced_by)
    log("finished")
    _publish(job, run, measured | _facts(loaded))


def _model_inputs(job: Job) -> dict[str, Any]:
    inputs = job.inputs()
    return {name: inputs[name] for name in ("version", "model", "weights")}


def _publish(job: Job, run: Run, measured: dict[str, Any]) -> None:
    for part in (run.work / PARTS).iterdir():
        part.unlink()
    (run.work / PARTS).rmdir()
    job.log.replace(run.work / "log.txt")
    run.finalize(measured)


def _facts(loaded: LoadedModel) -> dict[str, Any]:
    """Of the model as loaded; weights packed in 4 bits are counted one by one."""
    return {"device": loaded.device, "parameters": loaded.model.num_parameters()}


if __name__ == "__main__":
    sys.exit(work(Job.from_json, _score_candidate))
