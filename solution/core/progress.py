"""Progress and notes on stderr: a tqdm bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from threading import Timer

FIRST_LINE, FIRST_UNIT, INTERVAL = 2.0, 9.0, 10.0  # seconds
LINE = "{desc}: {n_fmt}/{total_fmt}{unit}, {rate_noinv_fmt}, {remaining} left{postfix}"


def log(text: str) -> None:
    """Print a note to stderr; on a terminal it first clears the progress bar."""
    clear = "\r\x1b[J" if sys.stderr.isatty() else ""
    print(f"{clear}{text}", file=sys.stderr, flush=True)


class Progress:
    """Progress of `total` units with rate and time left.

    Where stderr is no terminal, it prints a line after 2 s, then every 10 s and at the end;
    nothing for work that takes less than 2 s. `done` units are done already.
    """

    def __init__(self, label: str, total: int, unit: str, done: int = 0) -> None:
        from tqdm.std import tqdm

        tqdm.monitor_interval = 0  # no monitor thread
        lines = not sys.stderr.isatty()
        self.total = total
        self._bar = tqdm(
            desc=label,
            total=total,
            initial=done,
            unit=f" {unit}",
            miniters=1,
            mininterval=INTERVAL if lines else 0.1,
            bar_format=LINE if lines else None,
            delay=1e-9 if lines else 0,
            file=_Lines() if lines else sys.stderr,
        )
        # The first unit alone may take longer than the interval.
        self._timer = Timer(FIRST_UNIT, self._show_start)
        self._timer.daemon = True
        if lines:
            self._bar.last_print_t -= INTERVAL - FIRST_LINE
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

    def _show_start(self) -> None:
        if self.done == self._bar.initial:
            self._bar.refresh()


class _Lines:
    """A stream that turns the carriage returns of tqdm into lines on stderr."""

    def write(self, text: str) -> None:
        if text.strip():
            print(text.strip(), file=sys.stderr, flush=True)

    def flush(self) -> None:
        sys.stderr.flush()
