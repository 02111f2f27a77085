"""What goes wrong with the hub's data, told as something the user can mend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from solution.core import UserError


@contextmanager
def from_hub(name: str) -> Iterator[None]:
    """Run what loads `name` from the hub; raises UserError where it cannot be had."""
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(
            f"{name}: its rows cannot be had from the hub ({type(error).__name__}: {reason}). "
            "Go online, or give them as files: --data DIR."
        ) from error
