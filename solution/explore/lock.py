"""One explore at a time in a folder."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from solution.core import UserError


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """Hold the folder against a second explore; a killed one holds it no longer."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        stream = (home / ".lock").open("w")
    except OSError as error:
        raise UserError(f"{home}: cannot be written ({error.strerror}). Give --out.") from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(
                f"{home}: another explore is at work there. Wait for it, or give another --out."
            ) from error
        yield
