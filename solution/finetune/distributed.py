"""Rank and world size, where torchrun or accelerate launch started several processes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path

POLL_SECONDS = 0.5


def rank_and_world_size() -> tuple[int, int]:
    """Return rank and number of processes; (0, 1) without a launcher."""
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def is_main_process() -> bool:
    """Return whether this process has rank 0: it scores, logs and writes the run."""
    return rank_and_world_size()[0] == 0


@contextmanager
def main_process_first() -> Iterator[None]:
    """Run the block on rank 0 before the other ranks."""
    if rank_and_world_size()[1] == 1:
        yield
        return
    import torch
    from accelerate import PartialState

    with PartialState(cpu=not torch.cuda.is_available()).main_process_first():
        yield


@contextmanager
def rank_zero_logging() -> Iterator[None]:
    """Discard stderr of every rank but 0."""
    if is_main_process():
        yield
        return
    with Path(os.devnull).open("w") as devnull, redirect_stderr(devnull):
        yield


def barrier() -> None:
    """Wait for all ranks of a training."""
    import torch.distributed as dist

    if dist.is_available() and dist.is_initialized():
        dist.barrier()


def any_rank(flag: bool) -> bool:
    """Return whether `flag` is true on any rank."""
    import torch
    import torch.distributed as dist

    if not (dist.is_available() and dist.is_initialized()):
        return flag
    device = "cuda" if torch.cuda.is_available() else "cpu"
    value = torch.tensor(int(flag), device=device)
    dist.all_reduce(value, op=dist.ReduceOp.MAX)
    return bool(value.item())


def wait_until(condition: Callable[[], bool]) -> None:
    """Poll until rank 0 has finished some work; a collective call would time out meanwhile."""
    while not condition():
        time.sleep(POLL_SECONDS)
