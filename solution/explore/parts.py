"""A job done part after part, each kept in a file of its own, so that a restart goes on."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from solution.core import log, write_json
from solution.explore.job import Job
from solution.models import LoadedModel
from solution.scoring import (
    ChoiceScores,
    ScoreCache,
    TokenCounts,
    plan_orders,
    score,
    token_metrics,
)

# Questions a part: what a killed run repeats at most.
PART = 64

Log = Callable[[str], None]
Part = dict[str, Any]


def score_in_parts(
    loaded: LoadedModel, cache: ScoreCache, job: Job, folder: Path, write_log: Log
) -> tuple[list[ChoiceScores], dict[str, Any]]:
    """Every question's answer, in the exam's order, and what it took.

    Parts are cut from the questions sorted by their tokens, so that questions behind one
    passage share a part, and the same way whatever the batch size: what an interrupted run
    computes is what an uninterrupted one does.
    """
    plan = plan_orders(job.questions, job.permutations, job.debias)
    encoded = plan.encode(job.prompt, loaded.tokenizer, loaded.max_length)

    def compute(rows: Sequence[int]) -> Part:
        work = TokenCounts()
        asked = [one for row in rows for one in encoded[row]]
        scored = score(loaded, asked, batch_tokens=job.batch_tokens, counts=work, cache=cache)
        return {"work": asdict(work), "scored": [asdict(one) for one in scored]}

    order = sorted(range(len(encoded)), key=lambda i: (encoded[i][0].prompt_ids, i))
    parts = in_parts(
        job, order, PART, folder, compute, write_log=write_log, device=loaded.device
    )
    found = iter([scored_of(row) for part in parts for row in part["scored"]])
    by_row = {row: [next(found) for _ in encoded[row]] for row in order}
    grouped = [by_row[row] for row in range(len(encoded))]
    works = [TokenCounts(**part["work"]) for part in parts]
    measured = {
        **measurements(parts, len(encoded)),
        **token_metrics(together(works)),
        "orders": sum(len(some) for some in encoded),
        "tokens": sum(len(one.prompt_ids) for some in encoded for one in some),
        "truncated_rows": sum(some[0].truncated_tokens > 0 for some in encoded),
    }
    if job.debias == "pride":
        measured["position_prior"] = plan.position_priors(grouped)
    return plan.combine(grouped), measured


def in_parts(
    job: Job,
    order: Sequence[int],
    size: int,
    folder: Path,
    compute: Callable[[Sequence[int]], Part],
    *,
    write_log: Log,
    device: str,
) -> list[Part]:
    """What `compute` gives (as JSON) for the rows in this order, `size` of them at a time.

    Each part is kept in a file with its `seconds` and `peak_memory_gib`.
    """
    folder.mkdir(exist_ok=True)
    parts = [order[start : start + size] for start in range(0, len(order), size)]
    files = [folder / f"{number:05d}.json" for number in range(len(parts))]
    todo = sum(len(p) for p, file in zip(parts, files, strict=True) if not file.exists())
    if todo < len(order):
        log(f"{job.name}: goes on after {len(order) - todo} questions of an earlier start")
    for number, (part, file) in enumerate(zip(parts, files, strict=True), start=1):
        if not file.exists():
            start = time.perf_counter()
            value = compute(part)
            value["seconds"] = time.perf_counter() - start
            value["peak_memory_gib"] = peak_memory_gib(device)
            write_json(file, value)
            write_log(f"part {number} of {len(parts)} done")
    return [json.loads(file.read_text(encoding="utf-8")) for file in files]


def measurements(parts: Sequence[Part], questions: int) -> dict[str, Any]:
    """What all parts took together."""
    seconds = sum(part["seconds"] for part in parts)
    return {
        "questions": questions,
        "seconds": seconds,
        "questions_per_second": questions / seconds,
        "peak_memory_gib": max(part["peak_memory_gib"] for part in parts),
    }


def together(works: Sequence[TokenCounts]) -> TokenCounts:
    """The sum of what the parts cost."""
    names = [field.name for field in fields(TokenCounts)]
    return TokenCounts(**{name: sum(getattr(work, name) for work in works) for name in names})


def scored_of(row: dict[str, Any]) -> ChoiceScores:
    """A question's answer as it stands in a part's file."""
    lists = {name: tuple(row[name]) for name in ("log_likelihood", "probability", "by_order")}
    return ChoiceScores(**(row | lists))


def peak_memory_gib(device: str) -> float:
    """The most that this process has held: on the GPU where the model is there, else in all."""
    if device.startswith("cuda"):
        import torch

        return float(torch.cuda.max_memory_reserved()) / 2**30
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
