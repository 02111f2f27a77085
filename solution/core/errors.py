"""Errors that the user can fix: one message, exit code 2, no traceback."""

from __future__ import annotations

MAX_SHOWN = 20


class UserError(Exception):
    """An invalid input; the message names the place, what was expected and how to fix it."""


class ErrorCollector:
    """Collect every error of one input, so that the user sees all of them at once."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._errors: list[str] = []

    def add(self, error: str) -> None:
        """Add one error; the text names the row, id or key and what was expected."""
        self._errors.append(error)

    def __len__(self) -> int:
        return len(self._errors)

    def raise_if_any(self, remedy: str) -> None:
        """Raise one UserError with at most 20 errors in full and the number of the others."""
        if not self._errors:
            return
        shown = [f"  {error}" for error in self._errors[:MAX_SHOWN]]
        rest = len(self._errors) - len(shown)
        if rest:
            shown.append(f"  … and {rest} more")
        count = f"{len(self._errors)} problem{'s' if len(self._errors) > 1 else ''}"
        raise UserError("\n".join([f"{self.source}: {count}", *shown, remedy]))
