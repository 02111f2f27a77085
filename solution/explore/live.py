"""What running candidates have done so far: a line each, read from the parts they leave."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from solution.core import log
from solution.explore.key import Key
from solution.explore.statistics import clustered_interval, mean

TERMINAL_SECONDS, PLAIN_SECONDS = 0.3, 10.0
PARTS = "parts"


@dataclass
class Candidate:
    """One running candidate, and the parts of it that were read."""

    name: str
    parts: Path
    total: int
    seen: set[str] = field(default_factory=set)
    answers: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    def read(self) -> None:
        """Take in the parts that are new; those that are not there any more were read."""
        for file in sorted(self.parts.glob("*.json")):
            if file.name in self.seen:
                continue
            try:
                part = json.loads(file.read_text(encoding="utf-8"))
            except FileNotFoundError:  # the run is finished and has gone to its place
                return
            self.seen.add(file.name)
            self.seconds += part["seconds"]
            for row in part["scored"]:  # of several orders the row's own comes first
                self.answers.setdefault(row["id"], row["answer"])


class Live:
    """Shows the running candidates on stderr: lines that move on a terminal, else plain ones.

    It only reads what workers write, so that it costs them nothing, whichever machine they
    are on. `key` gives accuracy so far; the worker itself never sees an answer.
    """

    def __init__(self, key: Key) -> None:
        self._key = {
            q.id: (a, g) for q, a, g in zip(key.questions, key.answers, key.groups, strict=True)
        }
        self._running: dict[str, Candidate] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._terminal = sys.stderr.isatty()
        self._said: list[str] = []

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Keep the lines up to date until the block is left."""
        thread = threading.Thread(target=self._keep_showing, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    @contextmanager
    def running(self, name: str, work: Path, total: int) -> Iterator[None]:
        """Count a candidate among the running ones; one line stays of what it came to."""
        candidate = Candidate(name, work / PARTS, total)
        with self._lock:
            self._running[name] = candidate
        try:
            yield
        finally:
            with self._lock:
                del self._running[name]

    def line(self, candidate: Candidate) -> str:
        """Questions done, questions/s, accuracy so far with its 95 % interval, time left."""
        done = len(candidate.answers)
        if not done:
            return f"{candidate.name}: 0/{candidate.total} questions"
        rows = [(self._key[id], answer) for id, answer in candidate.answers.items()]
        hits = [float(answer == right) for (right, _), answer in rows]
        low, high = clustered_interval(hits, [group for (_, group), _ in rows])
        rate = done / max(candidate.seconds, 1e-9)
        left = (candidate.total - done) / rate
        return (
            f"{candidate.name}: {done}/{candidate.total} questions, {rate:.1f} questions/s, "
            f"accuracy so far {mean(hits):.3f} ({low:.3f}–{high:.3f}), {left:.0f} s left"
        )

    def lines(self) -> list[str]:
        """One line for each running candidate that has begun, in the order they were given."""
        with self._lock:
            begun = [c for c in self._running.values() if c.parts.is_dir()]
            for candidate in begun:
                candidate.read()
            return [self.line(candidate) for candidate in begun]

    def _keep_showing(self) -> None:
        while not self._over.wait(TERMINAL_SECONDS if self._terminal else PLAIN_SECONDS):
            self._show(self.lines())
        if self._terminal:
            sys.stderr.write("\r\x1b[J")

    def _show(self, lines: list[str]) -> None:
        if not self._terminal:
            for line in lines:
                if line not in self._said:
                    log(line)
            self._said = lines
        elif lines:
            # The cursor goes back to where the lines begin: a note wipes them and stays.
            up = f"\x1b[{len(lines) - 1}A" if len(lines) > 1 else ""
            sys.stderr.write("\r\x1b[J" + "\n".join(lines) + up + "\r")
            sys.stderr.flush()
