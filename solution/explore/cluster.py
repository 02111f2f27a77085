"""Candidates as tasks of a Ray cluster; results are shared by the same run folders.

All machines see the project, the models and the folder of runs under the same paths.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from solution.core import UserError, log, open_run
from solution.explore.candidates import Outcome, Watch, attempt, failed, finished
from solution.explore.job import Job
from solution.explore.ray_cluster import RETRIES
from solution.models import ModelReference, scoring_bytes


def outcomes_by_ray(jobs: Iterable[Job], watch: Watch) -> Iterator[tuple[Job, Outcome]]:
    """Score all jobs at once, as far as the cluster's resources reach; each as it ends.

    A task whose machine is lost is begun again elsewhere, up to three times, and goes on from
    the parts that it had left. What a task needs and no machine has fails that candidate only.
    """
    import ray

    score = ray.remote(max_retries=RETRIES)(_attempt)
    with ExitStack() as shown:
        waiting: dict[Any, Job] = {}
        for job in jobs:
            try:
                run = open_run(job.place, job.inputs())
                if run.finished:
                    log(f"{job.name}: nothing has changed, its finished run is used again")
                    yield job, finished(job)
                    continue
                wants = resources(job.reference, ray.nodes())
            except UserError as error:
                yield job, failed(job, str(error))
                continue
            shown.enter_context(watch(job.name, run.work, len(job.questions)))
            log(f"{job.name}: waits for {_told(wants)}")
            task = score.options(name=job.name, **wants).remote(job.to_json(), str(Path.cwd()))
            waiting[task] = job
        while waiting:
            done, _ = ray.wait(list(waiting), num_returns=1)
            job = waiting.pop(done[0])
            reason = _result(done[0])
            yield job, failed(job, reason) if reason else finished(job)


def resources(reference: ModelReference, nodes: Iterable[dict[str, Any]]) -> dict[str, float]:
    """CPU, GPU and memory (bytes) to ask of the cluster for one model.

    On machines with cards: as many whole cards as hold the weights, by the smallest card of
    the cluster; else one CPU and main memory for them. Raises UserError where no machine has
    so much.
    """
    whole = [node["Resources"] for node in nodes if node["Alive"]]
    cards = max((int(node.get("GPU", 0)) for node in whole), default=0)
    if cards:
        need = scoring_bytes(reference, "float16")
        wanted = math.ceil(need / _card_bytes())
        if wanted > cards:
            raise UserError(f"needs {wanted} cards, and no machine of the cluster has them.")
        return {"num_cpus": 1, "num_gpus": wanted}
    need = scoring_bytes(reference, "float32")
    most = max((node.get("memory", 0.0) for node in whole), default=0.0)
    if need > most:
        gib = need / 2**30
        raise UserError(f"needs {gib:.1f} GiB, and no machine of the cluster has them.")
    return {"num_cpus": 1, "memory": need}


def _card_bytes() -> float:
    """The smallest card's memory, as one of the cluster's own machines says."""
    import ray

    return float(ray.get(ray.remote(num_gpus=1)(_detect_card).remote()))


def _detect_card() -> int:
    from solution.models import detect

    return min(card.memory for card in detect().cards)


def _attempt(text: str, folder: str) -> str:
    """On the cluster: one candidate in a worker process, as without Ray."""
    os.chdir(folder)
    return attempt(Job.from_json(text))


def _result(task: Any) -> str:
    import ray

    try:
        return str(ray.get(task))
    except ray.exceptions.RayError as error:
        return f"lost with its machine {RETRIES + 1} times: {str(error).splitlines()[0]}"


def _told(wants: dict[str, float]) -> str:
    gib = f"{wants.get('memory', 0) / 2**30:.1f} GiB"
    cards = f"{wants['num_gpus']:g} GPU" if "num_gpus" in wants else gib
    return f"{wants['num_cpus']:g} CPU, {cards}"
