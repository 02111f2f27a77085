"""Scores one candidate: `python -m solution.explore.worker`, the job on stdin.

A process of its own gives all memory back when it ends, and when it crashes nothing else does.
Exit status 0: the finished run is in its place; 2: stdout ends with the reason, in JSON.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import IO, Any

from solution.base import Progress, Run, UserError, note, open_run, write_json
from solution.explore.job import PREDICTIONS, Job
from solution.models import LoadedModel, load
from solution.scoring import (
    Encoded,
    ScoreCache,
    Scored,
    Work,
    cost,
    encode,
    score,
    write_predictions,
)

# Questions a part: what a killed run repeats at most.
PART = 64
CACHE = ".scores.sqlite"
MEMORY = (
    "out of memory: take a smaller model, `quantization: 4bit`, a smaller batch_tokens "
    "or a machine with more memory"
)

Log = Callable[[str], None]


def main() -> int:
    """Do the job on stdin; say on stdout why where it can't be done."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is our parent's, which ends us
    results, sys.stdout = sys.stdout, sys.stderr  # libraries may print: not on this pipe
    job = Job.from_json(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with job.log.open("a", encoding="utf-8") as stream:
        faulthandler.enable(stream)
        reason = attempt(job, stream)
    if reason:
        print(json.dumps({"reason": reason}), file=results, flush=True)
    return 2 if reason else 0


def _end_with_parent() -> None:
    """Stdin closes when the parent is gone; nobody waits for our result then."""
    os.read(0, 1)  # not sys.stdin: its lock would still be held as the interpreter ends
    os._exit(1)


def attempt(job: Job, stream: IO[str]) -> str:
    """Score the candidate; return why it failed, or '' when it is done."""

    def log(text: str) -> None:
        print(time.strftime("%Y-%m-%d %H:%M:%S"), text, file=stream, flush=True)

    try:
        _score_candidate(job, log)
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
    encoded = encode(job.questions, job.prompt, loaded.tokenizer, loaded.max_length)
    # Beside the runs, so that a changed exam or prompt computes its changed rows only.
    made_by = {"inputs": _model_inputs(job), "dtype": loaded.dtype}
    cache = ScoreCache(job.place.with_name(CACHE), made_by)
    scored, measured = _score_in_parts(
        loaded, cache, encoded, run.work / "parts", job=job, log=log
    )
    produced_by = {"model": job.reference.model_dump(), "run": run.fingerprint}
    write_predictions(run.work / PREDICTIONS, scored, produced_by)
    log("finished")
    _publish(job, run, measured | _sizes(encoded) | _facts(loaded))


def _model_inputs(job: Job) -> dict[str, Any]:
    inputs = job.inputs()
    return {name: inputs[name] for name in ("version", "model", "weights")}


def _publish(job: Job, run: Run, measured: dict[str, Any]) -> None:
    for part in (run.work / "parts").iterdir():
        part.unlink()
    (run.work / "parts").rmdir()
    job.log.replace(run.work / "log.txt")
    run.publish(measured)


def _score_in_parts(
    loaded: LoadedModel,
    cache: ScoreCache,
    encoded: list[Encoded],
    folder: Path,
    *,
    job: Job,
    log: Log,
) -> tuple[list[Scored], dict[str, Any]]:
    """Score part after part, each kept in its own file, so that a restart goes on from there.

    Parts are cut from the questions sorted by their tokens, so that questions behind one
    passage share a part, and the same way whatever the batch size: what an interrupted run
    computes is what an uninterrupted one does.
    """
    folder.mkdir(exist_ok=True)
    order = sorted(range(len(encoded)), key=lambda i: (encoded[i].prompt_ids, i))
    parts = [order[start : start + PART] for start in range(0, len(order), PART)]
    files = [folder / f"{number:05d}.json" for number in range(len(parts))]
    todo = sum(len(p) for p, file in zip(parts, files, strict=True) if not file.exists())
    if todo < len(encoded):
        note(f"{job.name}: goes on after {len(encoded) - todo} questions of an earlier start")
    progress = Progress(job.name, todo, "questions")
    for number, (part, file) in enumerate(zip(parts, files, strict=True), start=1):
        if not file.exists():
            questions = [encoded[i] for i in part]
            _score_part(loaded, cache, questions, file, batch_tokens=job.batch_tokens)
            progress.advance(len(part))
            log(f"part {number} of {len(parts)} done")
    return _join(files, [e.id for e in encoded])


def _score_part(
    loaded: LoadedModel,
    cache: ScoreCache,
    encoded: list[Encoded],
    file: Path,
    *,
    batch_tokens: int,
) -> None:
    start = time.perf_counter()
    work = Work()
    scored = score(loaded, encoded, batch_tokens=batch_tokens, work=work, cache=cache)
    value = {
        "seconds": time.perf_counter() - start,
        "work": asdict(work),
        "peak_memory_gib": _peak_memory_gib(loaded.device),
        "scored": [asdict(one) for one in scored],
    }
    write_json(file, value)


def _join(files: list[Path], ids: list[str]) -> tuple[list[Scored], dict[str, Any]]:
    """All parts in the exam's order, and what they took together."""
    parts = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    by_id = {row["id"]: _scored(row) for part in parts for row in part["scored"]}
    seconds = sum(part["seconds"] for part in parts)
    measured = {
        "questions": len(ids),
        "seconds": seconds,
        "questions_per_second": len(ids) / seconds,
        "peak_memory_gib": max(part["peak_memory_gib"] for part in parts),
        **cost(_together([Work(**part["work"]) for part in parts])),
    }
    return [by_id[id] for id in ids], measured


def _together(works: list[Work]) -> Work:
    names = [field.name for field in fields(Work)]
    return Work(**{name: sum(getattr(work, name) for work in works) for name in names})


def _scored(row: dict[str, Any]) -> Scored:
    lists = {name: tuple(row[name]) for name in ("log_likelihood", "probability")}
    return Scored(**(row | lists))


def _sizes(encoded: list[Encoded]) -> dict[str, int]:
    return {
        "tokens": sum(len(one.prompt_ids) for one in encoded),
        "truncated_rows": sum(one.truncated_tokens > 0 for one in encoded),
    }


def _facts(loaded: LoadedModel) -> dict[str, Any]:
    """Of the model as loaded; weights packed in 4 bits are counted one by one."""
    return {"device": loaded.device, "parameters": loaded.model.num_parameters()}


def _peak_memory_gib(device: str) -> float:
    """The most that this process has held: on the GPU where the model is there, else in all."""
    if device.startswith("cuda"):
        import torch

        return float(torch.cuda.max_memory_reserved()) / 2**30
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


if __name__ == "__main__":
    sys.exit(main())
