"""Progress and notes on stderr: one moving line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time

PLAIN_SECONDS = 10.0


def log(text: str) -> None:
    """Say one thing to the user on stderr; lines that move on a terminal make room for it."""
    wipe = "\r\x1b[J" if sys.stderr.isatty() else ""
    print(f"{wipe}{text}", file=sys.stderr, flush=True)


class Progress:
    """Counts work done and estimates the time left, in any unit."""

    def __init__(self, label: str, total: int, unit: str) -> None:
        self.label, self.total, self.unit = label, total, unit
        self.done = 0
        self._start = time.monotonic()
        self._last = self._start
        self._terminal = sys.stderr.isatty()

    def advance(self, amount: int = 1, extra: str = "") -> None:
        """Count `amount` more as done and show the line when it is due."""
        self.done += amount
        now = time.monotonic()
        due = 0.1 if self._terminal else PLAIN_SECONDS
        if now - self._last >= due or (self._terminal and self.done >= self.total):
            self._last = now
            end = "" if self._terminal and self.done < self.total else "\n"
            start = "\r\x1b[K" if self._terminal else ""
            print(
                f"{start}{self._line(now)} {extra}".rstrip(),
                end=end,
                file=sys.stderr,
                flush=True,
            )

    def _line(self, now: float) -> str:
        seconds = max(now - self._start, 1e-9)
        rate = self.done / seconds
        left = (self.total - self.done) / rate if rate else 0.0
        return (
            f"{self.label}: {self.done}/{self.total} {self.unit}, "
            f"{rate:.1f} {self.unit}/s, {left:.0f} s left"
        )
