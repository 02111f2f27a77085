"""Progress and notes on stderr: a tqdm bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import weakref
from threading import Timer
from typing import Any, TextIO

LINE_SECONDS, FIRST_LINE_SECONDS = 10.0, 2.0
LINE = "{desc}: {n_fmt}/{total_fmt}{unit}, {rate_noinv_fmt}, {remaining} left{postfix}"


def log(text: str) -> None:
    """Print a note to stderr; on a terminal it first clears the progress bar."""
    clear = "\r\x1b[J" if sys.stderr.isatty() else ""
    print(f"{clear}{text}", file=sys.stderr, flush=True)


class Progress:
    """Progress of `total` units with rate and time left.

    Where stderr is no terminal, it prints a line after 2 s, then every 10 s and at the end;
    nothing for work that takes less than 2 s.
    """

    def __init__(self, label: str, total: int, unit: str) -> None:
        from tqdm.std import tqdm

        terminal = sys.stderr.isatty()
        tqdm.monitor_interval = 0  # no monitor thread: every update checks the time itself
        options: dict[str, Any] = {"mininterval": 0.1}
        if not terminal:
            options = {"mininterval": LINE_SECONDS, "bar_format": LINE, "delay": 1e-9}
        self.total = total
        self._bar = tqdm(
            desc=label,
            total=total,
            unit=f" {unit}",
            miniters=1,
            file=sys.stderr if terminal else _LineWriter(sys.stderr),
            **options,
        )
        # The first unit alone may take longer than the interval.
        self._timer = Timer(LINE_SECONDS - 1, _refresh, [weakref.ref(self._bar)])
        self._timer.daemon = True
        if not terminal:
            self._bar.last_print_t -= LINE_SECONDS - FIRST_LINE_SECONDS
            self._timer.start()

    @property
    def done(self) -> int:
        """Units completed."""
        return int(self._bar.n)

    def advance(self, amount: int = 1, extra: str = "") -> None:
        """Add completed units; `extra` is shown after the time left."""
        if extra:
            self._bar.set_postfix_str(extra, refresh=False)
        self._bar.update(amount)
        if self.done >= self.total:
            self._timer.cancel()
            self._bar.close()


class _LineWriter:
    """Turn the carriage returns of tqdm into lines."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        if text.strip():
            print(text.strip(), file=self._stream, flush=True)

    def flush(self) -> None:
        self._stream.flush()


def _refresh(bar: Any) -> None:
    running = bar()
    if running is not None and running.n == 0 and not running.disable:
        running.refresh()
