"""The libraries' banners, bars and warnings go to a log; the screen stays for progress."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from solution.finetune.processes import is_main_process


@contextmanager
def quiet(log: Path) -> Iterator[TextIO]:
    """Send all output of this process to the end of `log`; give a stream that is still stderr.

    Of several processes only the first is given stderr.

    Works on file descriptors, so that what C++ code writes and what loggers set up meanwhile
    write goes there too, and nobody is left holding a closed stream.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    shown = os.dup(2) if is_main_process() else os.open(os.devnull, os.O_WRONLY)
    with log.open("ab") as stream, os.fdopen(shown, "w", encoding="utf-8") as screen:
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
