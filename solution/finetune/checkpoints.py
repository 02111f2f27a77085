"""Checkpoints that are known to be whole, and what was learnt of the training so far."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from solution.core import Config, log, sha256_file, write_json

CHECKPOINTS = "checkpoints"  # a folder of the run while it is being made
MARKER = "complete.json"
KEPT = 2
FACTS = "training.json"  # in the finished adapter: how it came about


class Validation(Config):
    """One scoring of the validation questions during training."""

    step: int
    accuracy: float
    loss: float
    """Mean negative log-probability of the right choice among the row's own."""


class Course(Config):
    """What is known of a training up to a step; it stands in each checkpoint's marker."""

    validation: tuple[Validation, ...] = ()
    seconds: float = 0.0
    skipped_steps: int = 0
    """Steps whose gradient overflowed in float16 and which changed nothing."""
    peak_memory: int = 0
    """Bytes: of the card where there is one, else of the process."""
    over: bool = False
    """Whether the training came to its end, planned or early, with this step."""

    @property
    def best(self) -> Validation | None:
        """The highest accuracy; among equals the lowest loss, then the first."""
        return min(self.validation, key=lambda v: (-v.accuracy, v.loss, v.step), default=None)

    @property
    def waited(self) -> int:
        """Scorings since the best one."""
        return len(self.validation) - 1 - self.validation.index(self.best) if self.best else 0


def mark_complete(folder: Path, course: Course) -> None:
    """Write the marker, last of all: sizes and SHA-256 of the files, and the course so far.

    The best step's adapter, which stands beside the checkpoint, is vouched for as well.
    """
    files = {name: _facts(folder / name) for name in _names(folder, course)}
    write_json(folder / MARKER, {"files": files, "course": course.model_dump()})


def newest_complete(place: Path) -> Path | None:
    """The newest whole checkpoint in `place`; damaged and half-written ones are removed."""
    numbered = {int(f.name.rpartition("-")[2]): f for f in place.glob("checkpoint-*")}
    whole, skipped = None, []
    for _step, folder in sorted(numbered.items(), reverse=True):
        fault = _fault(folder)
        if fault is None:
            whole = folder
            break
        skipped.append((folder, fault))
    if skipped:
        named = "; ".join(f"{damaged.name} ({fault})" for damaged, fault in skipped)
        log(f"Not used: {named}. Taken: {whole.name if whole else 'none, from the start'}.")
    for damaged, _ in skipped:
        shutil.rmtree(damaged)
    return whole


def read_course(folder: Path) -> Course:
    """The course that a complete checkpoint holds."""
    return Course.model_validate(_marker(folder)["course"])


def prune(place: Path) -> None:
    """Keep the newest two checkpoints, should one be damaged later, and their best adapters."""
    folders = sorted(place.glob("checkpoint-*"), key=lambda f: int(f.name.rpartition("-")[2]))
    keep = set()
    for folder in [f for f in folders if (f / MARKER).is_file()][-KEPT:]:
        best = read_course(folder).best
        keep |= {folder.name, f"adapter-{best.step}" if best else ""}
    for folder in [*folders, *place.glob("adapter-*")]:
        if folder.name not in keep:
            shutil.rmtree(folder)


def _fault(folder: Path) -> str | None:
    """What is wrong with a checkpoint; None where every file is as it was written."""
    try:
        files = _marker(folder)["files"]
        for name, (size, digest) in files.items():
            path = folder / name
            if not path.is_file():
                return f"{name} is missing"
            if path.stat().st_size != size:
                return f"{name} has {path.stat().st_size} bytes instead of {size}"
            if sha256_file(path) != digest:
                return f"{name} is not what was written"
    except (OSError, ValueError, KeyError, TypeError):
        return "not written to its end"
    return None


def _marker(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / MARKER).read_text(encoding="utf-8")))


def _names(folder: Path, course: Course) -> list[str]:
    """The checkpoint's files and the best adapter's, from the checkpoint's folder."""
    names = [name for name in _files(folder) if name != MARKER]
    if course.best:
        beside = f"adapter-{course.best.step}"
        names += [f"../{beside}/{name}" for name in _files(folder.parent / beside)]
    return names


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def _facts(path: Path) -> tuple[int, str]:
    return path.stat().st_size, sha256_file(path)
