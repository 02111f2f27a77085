"""Checkpoints with a marker that is written last, and the training state so far."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from solution.core import Config, log, write_json

CHECKPOINTS = "checkpoints"  # folder of a run in progress
MARKER = "complete.json"
TRAINING_FACTS = "training.json"  # file of the finished adapter


class Evaluation(Config):
    """One evaluation on the validation questions during training."""

    step: int
    accuracy: float
    loss: float
    """Mean negative log-probability of the correct choice, normalised over the choices."""


class TrainingState(Config):
    """State of a training at a step, stored in the checkpoint's marker."""

    validation: tuple[Evaluation, ...] = ()
    seconds: float = 0.0
    skipped_steps: int = 0
    """Steps with a non-finite gradient, which changed no weight."""
    peak_memory_gib: float = 0.0
    finished: bool = False

    @property
    def best(self) -> Evaluation | None:
        """The highest accuracy; ties go to the lowest loss, then to the first."""
        return min(self.validation, key=lambda v: (-v.accuracy, v.loss, v.step), default=None)

    @property
    def evals_since_best(self) -> int:
        """Evaluations after the best one."""
        return len(self.validation) - 1 - self.validation.index(self.best) if self.best else 0


def write_marker(checkpoint: Path, state: TrainingState) -> None:
    """Write the marker: sizes of the files, those of the best step's adapter, and the state."""
    folders = [checkpoint]
    if state.best:
        folders.append(checkpoint.parent / f"adapter-{state.best.step}")
    sizes = {
        f"{folder.name}/{path.name}": path.stat().st_size
        for folder in folders
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != MARKER
    }
    write_json(checkpoint / MARKER, {"sizes": sizes, "state": state.model_dump()})


def latest_valid_checkpoint(folder: Path) -> Path | None:
    """Return the newest complete checkpoint and delete the incomplete ones after it."""
    invalid = []
    valid = None
    for checkpoint in reversed(_by_step(folder)):
        problem = _problem(checkpoint)
        if problem is None:
            valid = checkpoint
            break
        invalid.append(f"{checkpoint.name} ({problem})")
        shutil.rmtree(checkpoint)
    if invalid:
        source = (
            f"Resuming from {valid.name}" if valid else "Training starts from the beginning"
        )
        log(f"Incomplete, deleted: {'; '.join(invalid)}. {source}.")
    return valid


def read_state(checkpoint: Path) -> TrainingState:
    """Read the training state of a complete checkpoint."""
    return TrainingState.model_validate(_marker(checkpoint)["state"])


def prune(folder: Path, save_total_limit: int) -> None:
    """Keep the newest complete checkpoints and their best adapters, delete all others."""
    complete = [c for c in _by_step(folder) if (c / MARKER).is_file()][-save_total_limit:]
    best = (read_state(checkpoint).best for checkpoint in complete)
    keep = {c.name for c in complete} | {f"adapter-{one.step}" for one in best if one}
    for path in [*_by_step(folder), *folder.glob("adapter-*")]:
        if path.name not in keep:
            shutil.rmtree(path)


def is_disk_full(error: Exception) -> bool:
    """Return whether a file could not be written for lack of space; each library words it."""
    text = str(error).lower()
    known = ("no space left", "file too large", "quota", "os error 27", "os error 28")
    return any(sign in text for sign in (*known, "pytorchstreamwriter", "inline_container"))


def _by_step(folder: Path) -> list[Path]:
    return sorted(folder.glob("checkpoint-*"), key=lambda c: int(c.name.rpartition("-")[2]))


def _problem(checkpoint: Path) -> str | None:
    try:
        for name, size in _marker(checkpoint)["sizes"].items():
            path = checkpoint.parent / name
            if not path.is_file():
                return f"{name} is missing"
            if path.stat().st_size != size:
                return f"{name} has {path.stat().st_size} bytes instead of {size}"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "no valid marker"
    return None


def _marker(checkpoint: Path) -> dict[str, Any]:
    return dict(json.loads((checkpoint / MARKER).read_text(encoding="utf-8")))
