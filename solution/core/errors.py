"""Errors that the user can mend: one message, exit code 2, no traceback."""

from __future__ import annotations

SHOWN_IN_FULL = 20


class UserError(Exception):
    """A fault in what the user gave: it names the place, what was expected and the remedy."""


class ErrorCollector:
    """Collects every fault of one input so that the user sees all of them at once."""

    def __init__(self, place: str) -> None:
        self.place = place
        self._faults: list[str] = []

    def add(self, fault: str) -> None:
        """Note one fault; it says where (row, id, field) and what was expected."""
        self._faults.append(fault)

    def __len__(self) -> int:
        return len(self._faults)

    def raise_if_any(self, remedy: str) -> None:
        """Raise one UserError with at most 20 faults in full and the rest counted."""
        if not self._faults:
            return
        shown = [f"  {fault}" for fault in self._faults[:SHOWN_IN_FULL]]
        rest = len(self._faults) - len(shown)
        if rest:
            shown.append(f"  … and {rest} more")
        count = f"{len(self._faults)} problem{'s' if len(self._faults) > 1 else ''}"
        raise UserError("\n".join([f"{self.place}: {count}", *shown, remedy]))
