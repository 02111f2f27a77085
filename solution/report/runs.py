"""Runs on disk: which folders hold one, and what each of them says."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from solution.core import UserError, log, resolve_path, sha256_file
from solution.exam import (
    Question,
    public_private_split,
    read_answer_key,
    read_exam,
    with_answers,
)
from solution.finetune import WITHOUT_PASSAGES
from solution.report.sources import Retrieved, read_provenance, read_retrieved
from solution.scoring import ChoiceScores, read_predictions

PREDICTIONS, METRICS, CONFIG, BOARD = (
    "predictions.parquet",
    "metrics.json",
    "config.yaml",
    "leaderboard.csv",
)
EXAM, SOLUTION = "exam.csv", "solution.csv"
DEFAULTS = ("explore", "finetune")
WITHOUT = ", without passages"
SET_ASIDE = re.compile(r"\.[0-9a-f]{8}$")  # an earlier run of that name, see core.run_folder


@dataclass(frozen=True)
class Entry:
    """One finished run: its answers to an exam, and what is known of the model and the run.

    `usage` names the half of each question, `board` the row that explore's leaderboard has.
    """

    name: str
    kind: str
    folder: Path
    questions: tuple[Question, ...]
    usage: dict[str, str]
    scored: list[ChoiceScores]
    config: dict[str, Any]
    metrics: dict[str, Any]
    board: dict[str, str] = field(default_factory=dict)
    retrieved: Retrieved = field(default_factory=dict)
    provenance: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def reference(self) -> dict[str, Any]:
        """The model's reference as the run's config has it."""
        recipe = self.config.get("recipe") or {}
        return dict(recipe.get("model") or self.config.get("model") or {})


@dataclass(frozen=True)
class Failure:
    """A candidate of a suite that has no score, and why."""

    name: str
    folder: Path
    reason: str


def find_runs(named: Sequence[Path]) -> list[Path]:
    """The run folders in the folders named, else in runs/explore and runs/finetune.

    Hidden folders and runs that were set aside for a newer one are passed over, unless named.
    Raises UserError where there is none.
    """
    roots = list(named) or [Path("runs") / kind for kind in DEFAULTS]
    found: dict[Path, None] = {}
    for root in roots:
        inside = [path.parent for path in sorted(root.rglob(PREDICTIONS))]
        own = [folder for folder in inside if _wanted(folder, root)]
        if named and not own:
            raise UserError(f"{root}: holds no finished run. Give a folder under runs/.")
        found |= dict.fromkeys(own)
    if not found:
        raise UserError("runs/: holds no finished run. Run ./run.sh explore first.")
    return list(found)


def read_entries(folders: Sequence[Path], *, strict: bool) -> list[Entry]:
    """Read the runs; one that cannot be read is an error if `strict`, else told and left out.

    Raises UserError also where none could be read.
    """
    entries, faults = [], []
    for folder in folders:
        try:
            entries.append(read_entry(folder))
            entries += _without_passages(entries[-1])
        except UserError as error:
            if strict:
                raise
            faults.append(str(error))
            log(f"left out: {error}")
    if not entries:
        raise UserError("\n".join(["no run can be shown:", *faults]))
    return entries


def read_entry(folder: Path) -> Entry:
    """One run of explore or finetune with the exam it answered.

    Raises UserError where a file is absent or damaged, or the exam is no longer what it was.
    """
    config, metrics = _config(folder / CONFIG), _json(folder / METRICS)
    tuned = config.get("command") == "finetune"
    questions, usage = _tuned_exam(folder, config) if tuned else _explored_exam(folder)
    scored = read_predictions(folder / PREDICTIONS)
    if [one.id for one in scored] != [question.id for question in questions]:
        raise UserError(
            f"{folder / PREDICTIONS}: not the questions of its exam. Run the command again."
        )
    return Entry(
        name=_name(folder, config, tuned=tuned),
        kind="tuned" if tuned else "candidate",
        folder=folder,
        questions=questions,
        usage=usage,
        scored=scored,
        config=config,
        metrics=metrics,
        board={} if tuned else _board(folder.parent).get(folder.name, {}),
        retrieved=read_retrieved(folder),
        provenance=read_provenance(
            resolve_path(config["data"]["test"]).parent if tuned else folder.parent
        ),
    )


def _without_passages(entry: Entry) -> list[Entry]:
    """The same run answering without a wiki's passages, where it kept those answers too."""
    path = entry.folder / WITHOUT_PASSAGES
    if entry.kind != "tuned" or not path.is_file():
        return []
    plain = replace(
        entry,
        name=f"{entry.name}{WITHOUT}",
        scored=read_predictions(path),
        metrics={key: value for key, value in entry.metrics.items() if key != "training"},
        retrieved={},
    )
    return [plain]


def failures(folders: Sequence[Path]) -> list[Failure]:
    """The candidates without a score in the leaderboards beside these run folders."""
    boards = dict.fromkeys(folder.parent for folder in folders)
    return [
        Failure(row["model"], place, row.get("status", ""))
        for place in boards
        for row in _board(place).values()
        if row.get("status") not in ("scored", "")
    ]


def _wanted(folder: Path, root: Path) -> bool:
    inside = folder.relative_to(root).parts
    hidden = any(part.startswith(".") for part in inside)
    aside = any(SET_ASIDE.search(part) for part in inside)
    return not hidden and not aside and (folder / CONFIG).is_file()


def _name(folder: Path, config: dict[str, Any], *, tuned: bool) -> str:
    if not tuned:
        return folder.name.replace("__", "/")
    recipe = str((config.get("recipe") or {}).get("name", folder.name))
    return recipe if recipe == folder.name else f"{recipe} ({folder.name})"


def _explored_exam(folder: Path) -> tuple[tuple[Question, ...], dict[str, str]]:
    place = folder.parent
    if not (place / EXAM).is_file():
        raise UserError(
            f"{place / EXAM}: not there, so the questions of {folder} are not known. "
            "Run the same ./run.sh explore again: it scores nothing twice."
        )
    exam, key = read_exam(place / EXAM), read_answer_key(place / SOLUTION)
    return with_answers(exam, key).questions, key.usage


def _tuned_exam(
    folder: Path, config: dict[str, Any]
) -> tuple[tuple[Question, ...], dict[str, str]]:
    data = config.get("data") or {}
    exam = read_exam(_unchanged(folder, data, "test"))
    if not data.get("solution"):
        return exam.questions, public_private_split(
            [question.id for question in exam.questions]
        )
    key = read_answer_key(_unchanged(folder, data, "solution"))
    return with_answers(exam, key).questions, key.usage


def _unchanged(folder: Path, data: dict[str, Any], which: str) -> Path:
    path = resolve_path(str(data.get(which)))
    if not path.is_file():
        raise UserError(f"{folder}: its {which} file {path} is not there. Put it back.")
    if sha256_file(path) != (data.get("sha256") or {}).get(which):
        raise UserError(
            f"{path}: has changed since {folder} was made. Run the same finetune again."
        )
    return path


def _config(path: Path) -> dict[str, Any]:
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    return _mapping(path, value)


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    return _mapping(path, value)


def _mapping(path: Path, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UserError(f"{path}: expected a mapping of keys. Run the command again.")
    return value


def _board(place: Path) -> dict[str, dict[str, str]]:
    """The rows of a leaderboard by the folder of their candidate; none where there is none."""
    path = place / BOARD
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as stream:
        return {
            row["model"].replace("/", "__"): row
            for row in csv.DictReader(stream)
            if row.get("model")
        }
