"""Redirect the output of libraries to a log file and keep the terminal for progress."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from solution.finetune.distributed import is_main_process


@contextmanager
def redirect_output(log: Path) -> Iterator[TextIO]:
    """Append stdout and stderr of this process to `log`; yield a stream that is the old stderr.

    Works on file descriptors, so that output of C++ code is redirected too. On other ranks than
    0 the stream is /dev/null.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    terminal = os.dup(2) if is_main_process() else os.open(os.devnull, os.O_WRONLY)
    with log.open("ab") as stream, os.fdopen(terminal, "w", encoding="utf-8") as screen:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
        try:
            yield screen
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, descriptor in enumerate(saved, start=1):
                os.dup2(descriptor, number)
                os.close(descriptor)
