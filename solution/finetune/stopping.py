"""A request to end, by SIGTERM, that a training answers after its step instead of at once."""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def stopping() -> Iterator[Callable[[], bool]]:
    """Give a function that says whether SIGTERM came; a second SIGTERM ends the process.

    Of several processes all stop at the same step, whichever was asked.
    """
    asked: list[int] = []

    def remember(number: int, _frame: Any) -> None:
        asked.append(number)
        signal.signal(signal.SIGTERM, before)

    before = signal.signal(signal.SIGTERM, remember)
    try:
        yield lambda: _in_any_process(bool(asked))
    finally:
        signal.signal(signal.SIGTERM, before)


def command_to_go_on() -> str:
    """The command line of this process, as a user would type it."""
    return shlex.join(["./run.sh", *sys.argv[1:]])


def _in_any_process(mine: bool) -> bool:
    import torch
    import torch.distributed as processes

    if not (processes.is_available() and processes.is_initialized()):
        return mine
    device = "cuda" if torch.cuda.is_available() else "cpu"
    flag = torch.tensor(int(mine), device=device)
    processes.all_reduce(flag, op=processes.ReduceOp.MAX)
    return bool(flag.item())
