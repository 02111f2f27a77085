"""Candidates as tasks of a Ray cluster; results are shared through the run folders.

All nodes see the project, the models and the run folders under the same paths.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from solution.core import PROJECT, UserError, log
from solution.explore.job import Job
from solution.explore.run_candidates import (
    CandidateResult,
    ProgressHook,
    open_runs,
    result_of,
    run_job,
)
from solution.explore.workers import Workers
from solution.models import ModelReference, scoring_bytes

RETRIES = 3


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Join the cluster at `address` ("auto" finds the running one, "local" starts one here).

    A local cluster listens on the loopback interface only.
    Raises UserError where Ray is not installed or nothing answers.
    """
    # Ray gives a node of its own 30 s to start, which a busy machine may miss.
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "120")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report to its makers
    if address == "local":  # Ray's switch for nodes that listen on the loopback interface only
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    try:
        import ray
    except ImportError as error:
        raise UserError("--ray: Ray is not installed here: pip install ray.") from error
    # A cluster's workers don't have this shell's variables, which may say where models are.
    variables = {"PYTHONPATH": str(PROJECT), "PYTHONSAFEPATH": "1"}
    variables |= {name: value for name, value in os.environ.items() if name.startswith("HF_")}
    try:
        ray.init(
            address=address,
            runtime_env={"env_vars": variables},
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
        )
    except Exception as error:  # Ray raises that itself where a node does not start
        raise UserError(f"--ray {address}: no Ray cluster answers there: {error}") from error
    try:
        yield
    finally:
        ray.shutdown()


def run_on_ray(
    jobs: Iterable[Job], hook: ProgressHook
) -> Iterator[tuple[Job, CandidateResult]]:
    """Score all jobs at once, as far as the cluster's resources reach; yield each as it ends.

    A task whose node is lost starts again elsewhere, up to RETRIES times, and resumes from the
    score cache. A job that needs more than any node has fails alone.
    """
    import ray

    task = ray.remote(max_retries=RETRIES)(_run)
    with ExitStack() as hooks:
        waiting: dict[Any, Job] = {}
        for job in jobs:
            try:
                runs = open_runs(job)
                if all(run.finished for run in runs):
                    log(f"{job.name}: nothing has changed, reusing its finished run")
                    yield job, result_of(job, "")
                    continue
                wants = resources(job.reference, ray.nodes())
            except UserError as error:
                yield job, result_of(job, str(error))
                continue
            hooks.enter_context(hook(job, runs))
            log(f"{job.name}: waiting for {_described(wants)}")
            named = task.options(name=job.name, **wants)
            waiting[named.remote(job.model_dump_json(), str(Path.cwd()))] = job
        while waiting:
            done, _ = ray.wait(list(waiting), num_returns=1)
            job = waiting.pop(done[0])
            yield job, result_of(job, _reason(done[0]))


def resources(reference: ModelReference, nodes: Iterable[dict[str, Any]]) -> dict[str, float]:
    """Return the CPU, GPU and memory (bytes) to request from the cluster for one model.

    On nodes with GPUs: as many whole GPUs as hold the weights, by the cluster's smallest one;
    else one CPU and main memory. Raises UserError where no node has that much.
    """
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    gpus = max((int(node.get("GPU", 0)) for node in alive), default=0)
    if gpus:
        need = scoring_bytes(reference, "float16")
        wanted = math.ceil(need / _gpu_bytes())
        if wanted > gpus:
            raise UserError(f"needs {wanted} GPUs, and no node of the cluster has them.")
        return {"num_cpus": 1, "num_gpus": wanted}
    need = scoring_bytes(reference, "float32")
    if need > max((node.get("memory", 0.0) for node in alive), default=0.0):
        raise UserError(f"needs {need / 2**30:.1f} GiB, and no node of the cluster has them.")
    return {"num_cpus": 1, "memory": need}


def _gpu_bytes() -> float:
    """The smallest GPU's memory, as one of the cluster's nodes detects it."""
    import ray

    return float(ray.get(ray.remote(num_gpus=1)(_detect_gpu).remote()))


def _detect_gpu() -> int:
    from solution.models import detect

    return min(card.memory for card in detect().cards)


def _run(text: str, folder: str) -> str:
    """On the cluster: score one candidate in a worker process, as without Ray."""
    os.chdir(folder)
    with Workers() as workers:
        return run_job(Job.model_validate_json(text), workers)


def _reason(task: Any) -> str:
    import ray

    try:
        return str(ray.get(task))
    except ray.exceptions.RayError as error:
        cause = str(error).splitlines()[0]
        return f"worker node lost {RETRIES + 1} times; giving up: {cause}"


def _described(wants: dict[str, float]) -> str:
    gib = f"{wants.get('memory', 0) / 2**30:.1f} GiB"
    gpus = f"{wants['num_gpus']:g} GPU" if "num_gpus" in wants else gib
    return f"{wants['num_cpus']:g} CPU, {gpus}"
