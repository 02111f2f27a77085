"""Which of several processes this is, where torchrun or accelerate launch started them."""

from __future__ import annotations

import os


def process() -> tuple[int, int]:
    """Give this process's number and their count: (0, 1) unless a launcher says otherwise."""
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def is_first_process() -> bool:
    """Whether this is the process that writes, says and scores what is not training."""
    return process()[0] == 0
