"""Live progress of running candidates: workers write it to a file, the command shows lines."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from solution.core import Run, log, write_json
from solution.explore.job import PROGRESS, Job
from solution.explore.metrics import ExamKey
from solution.explore.statistics import clustered_interval, mean
from solution.scoring import ChoiceScores

TERMINAL_SECONDS, PLAIN_SECONDS, WRITE_SECONDS = 0.3, 10.0, 1.0


class ProgressFile:
    """A worker's progress on one cell, written into the run's work folder once a second.

    A file, because with Ray the worker runs on another machine. It holds answers, never whether
    they are right: the worker does not know.
    """

    def __init__(self, work: Path, total: int = 0) -> None:
        self.path, self.total = work / PROGRESS, total
        self._answers: dict[str, int] = {}
        self._start = time.monotonic()
        self._written = 0.0

    def add(self, scored: Sequence[ChoiceScores]) -> None:
        """Add scored questions; of several orders of one question, the first counts."""
        for one in scored:
            self._answers.setdefault(one.id, one.answer)
        self._write(len(self._answers), self.total)

    def count(self, done: int, total: int) -> None:
        """Set how many requests are done."""
        self._write(done, total)

    def remove(self) -> None:
        """Delete the file: it is no part of the run."""
        self.path.unlink(missing_ok=True)

    def _write(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._written >= WRITE_SECONDS:
            self._written = now
            value = {"done": done, "total": total, "seconds": now - self._start}
            write_json(self.path, value | {"answers": self._answers})


class LiveProgress:
    """Shows the running candidates on stderr: moving lines on a terminal, else plain ones.

    `keys` (by cell) give the accuracy so far with its 95 % interval.
    """

    def __init__(self, keys: Mapping[str, ExamKey]) -> None:
        self._keys = {
            name: {
                q.id: (answer, group)
                for q, answer, group in zip(key.questions, key.answers, key.groups, strict=True)
            }
            for name, key in keys.items()
        }
        self._running: dict[str, tuple[Job, list[Run]]] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._terminal = sys.stderr.isatty()
        self._printed: list[str] = []

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Keep the lines up to date until the block ends."""
        thread = threading.Thread(target=self._keep_showing, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    @contextmanager
    def running(self, job: Job, runs: list[Run]) -> Iterator[None]:
        """Show this job until the block ends."""
        with self._lock:
            self._running[job.name] = job, runs
        try:
            yield
        finally:
            with self._lock:
                del self._running[job.name]

    def lines(self) -> list[str]:
        """Return one line per cell that is being scored, in the order of the candidates."""
        with self._lock:
            running = list(self._running.values())
        found = []
        for job, runs in running:
            for cell, run in zip(job.cells, runs, strict=True):
                try:
                    text = (run.work / PROGRESS).read_text(encoding="utf-8")
                except OSError:  # not started, or finished
                    continue
                label = job.name if len(job.cells) == 1 else f"{job.name}: {cell.name}"
                found.append(self._line(label, cell.name, json.loads(text)))
        return found

    def _line(self, label: str, cell: str, progress: Mapping[str, Any]) -> str:
        done, total = progress["done"], progress["total"]
        unit = "questions" if cell in self._keys else "requests"
        rate = done / max(progress["seconds"], 1e-9)
        line = f"{label}: {done}/{total} {unit}, {rate:.1f} {unit}/s, "
        if progress["answers"]:
            key = self._keys[cell]
            rows = [(key[id], answer) for id, answer in progress["answers"].items()]
            hits = [float(answer == right) for (right, _), answer in rows]
            low, high = clustered_interval(hits, [group for (_, group), _ in rows])
            line += f"accuracy so far {mean(hits):.3f} ({low:.3f}–{high:.3f}), "
        return f"{line}{(total - done) / max(rate, 1e-9):.0f} s left"

    def _keep_showing(self) -> None:
        while not self._stop.wait(TERMINAL_SECONDS if self._terminal else PLAIN_SECONDS):
            self._show(self.lines())
        if self._terminal:
            sys.stderr.write("\r\x1b[J")

    def _show(self, lines: list[str]) -> None:
        if not self._terminal:
            for line in lines:
                if line not in self._printed:
                    log(line)
            self._printed = lines
        elif lines:
            # The cursor returns to the first line: a note clears the lines and stays.
            up = f"\x1b[{len(lines) - 1}A" if len(lines) > 1 else ""
            sys.stderr.write("\r\x1b[J" + "\n".join(lines) + up + "\r")
            sys.stderr.flush()
