"""Ray, on demand only: joining a cluster, and mapping shards over it in their order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from solution.core.errors import UserError
from solution.core.files import PROJECT

RETRIES = 3
S = TypeVar("S")
X = TypeVar("X")
R = TypeVar("R")


class Mapper(Protocol):
    """Somewhere to work: the results of `work(shard, shared)` in the order of the shards."""

    def __call__(
        self, work: Callable[[S, X], R], shards: Iterable[S], shared: X
    ) -> Iterator[R]:
        """Work on all shards; `work` is a module's own function without side effects."""


def map_here(work: Callable[[S, X], R], shards: Iterable[S], shared: X) -> Iterator[R]:
    """One shard after the other, in this process."""
    return (work(shard, shared) for shard in shards)


def map_by_ray(work: Callable[[S, X], R], shards: Iterable[S], shared: X) -> Iterator[R]:
    """A task of one CPU for each shard, on the cluster that is `connected`.

    Few shards more than the cluster has CPUs are under way at a time, so that neither they nor
    their results fill the memory. Raises UserError for a shard that is lost with its machine
    more than RETRIES times.
    """
    import ray

    task = ray.remote(num_cpus=1, max_retries=RETRIES)(work)
    held = ray.put(shared)
    most = 2 * max(1, int(ray.cluster_resources().get("CPU", 1)))
    waiting: deque[Any] = deque()
    for shard in shards:
        waiting.append(task.remote(shard, held))
        if len(waiting) >= most:
            yield _result(waiting.popleft())
    while waiting:
        yield _result(waiting.popleft())


def _result(task: Any) -> Any:
    import ray

    try:
        return ray.get(task)
    except ray.exceptions.RayTaskError:
        raise  # a fault of the work itself, as it would be without Ray
    except ray.exceptions.RayError as error:
        told = str(error).splitlines()[0]
        raise UserError(f"--ray: a task was lost {RETRIES + 1} times: {told}") from error


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Join the cluster at `address` ("auto" finds the running one, "local" makes one here).

    Raises UserError where Ray is not installed or nothing answers there.
    """
    # Ray gives a node of its own 30 s to start, which a busy machine may miss.
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "120")
    try:
        import ray
    except ImportError as error:
        raise UserError("--ray: Ray is not installed here: pip install ray.") from error
    variables = {"PYTHONPATH": str(PROJECT), "PYTHONSAFEPATH": "1"}
    # A cluster's workers know nothing of our shell, which may say where models come from.
    variables |= {name: value for name, value in os.environ.items() if name.startswith("HF_")}
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report to its makers
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


@contextmanager
def mapping(address: str | None) -> Iterator[Mapper]:
    """Where shards are worked on: in this process, or on the cluster at `address`."""
    if address is None:
        yield map_here
        return
    with connected(address):
        yield map_by_ray
