"""Which of several processes this is, where torchrun or accelerate launch started them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path

POLL_SECONDS = 0.5


def process() -> tuple[int, int]:
    """Give this process's number and their count: (0, 1) unless a launcher says otherwise."""
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def is_main_process() -> bool:
    """Whether this is the process that writes, says and scores what is not training."""
    return process()[0] == 0


@contextmanager
def first_process_first() -> Iterator[None]:
    """Let the first process run the block before the others, who then find what it left."""
    if process()[1] == 1:
        yield
        return
    import torch
    from accelerate import PartialState

    with PartialState(cpu=not torch.cuda.is_available()).main_process_first():
        yield


@contextmanager
def one_voice() -> Iterator[None]:
    """Let the first process alone say how it goes; errors are raised in all."""
    if is_main_process():
        yield
        return
    with Path(os.devnull).open("w") as nowhere, redirect_stderr(nowhere):
        yield


def wait_until(done: Callable[[], bool]) -> None:
    """Wait for what the first process does; a collective call would time out over a scoring."""
    while not done():
        time.sleep(POLL_SECONDS)
