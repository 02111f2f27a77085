"""Find run folders and read what they contain."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from solution.core import UserError, log, read_yaml, resolve_path, sha256_file
from solution.exam import (
    Question,
    public_private_split,
    read_answer_key,
    read_exam,
    with_answers,
)
from solution.finetune import WITHOUT_PASSAGES
from solution.scoring import ChoiceScores, read_predictions

PREDICTIONS, METRICS, CONFIG = "predictions.parquet", "metrics.json", "config.yaml"
LEADERBOARD, RETRIEVED, PROVENANCE = (
    "leaderboard.csv",
    "retrieved.parquet",
    "provenance.parquet",
)
EXAM, SOLUTION = "exam.csv", "solution.csv"
DEFAULT_ROOTS = (Path("runs") / "explore", Path("runs") / "finetune")
WITHOUT = ", without passages"
SUPERSEDED = re.compile(r"\.[0-9a-f]{8}$")  # an earlier run of that name, see solution.core
Passages = dict[str, list[tuple[str, str, float | None]]]
Halves = dict[str, str]


@dataclass(frozen=True)
class RunResult:
    """One finished run: its answers to an exam, and the metadata of the model and the run.

    `kind` is `candidate` or `tuned`, `usage` maps question ids to halves, `row` is the run's
    row on explore's leaderboard, `retrieved` maps ids to (title, text, score) of passages.
    """

    name: str
    kind: str
    folder: Path
    questions: tuple[Question, ...]
    usage: Halves
    scored: list[ChoiceScores]
    config: dict[str, Any]
    metrics: dict[str, Any]
    row: dict[str, str] = field(default_factory=dict)
    retrieved: Passages = field(default_factory=dict)
    provenance: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def reference(self) -> dict[str, Any]:
        """The model reference in the run's config."""
        recipe = self.config.get("recipe") or {}
        return dict(recipe.get("model") or self.config.get("model") or {})

    @property
    def correct(self) -> list[bool]:
        """Whether each question was answered correctly."""
        return [s.answer == q.answer for s, q in zip(self.scored, self.questions, strict=True)]


@dataclass(frozen=True)
class Failure:
    """A candidate of a suite without a score, and the reason."""

    name: str
    folder: Path
    reason: str


def find_runs(named: Sequence[Path]) -> list[Path]:
    """Return the run folders below `named`, else below runs/explore and runs/finetune.

    Skips hidden folders and superseded runs, unless named. Raises UserError if there is none.
    """
    found: dict[Path, None] = {}
    for root in named or DEFAULT_ROOTS:
        inside = [path.parent for path in sorted(root.rglob(PREDICTIONS))]
        own = [folder for folder in inside if _is_current(folder, root)]
        if named and not own:
            raise UserError(f"{root}: no finished run. Give a folder under runs/.")
        found |= dict.fromkeys(own)
    if not found:
        raise UserError("runs/: no finished run. Run ./run.sh explore first.")
    return list(found)


def read_runs(folders: Sequence[Path], *, strict: bool) -> list[RunResult]:
    """Read runs; skip those that cannot be read with a warning, or raise UserError if `strict`.

    Raises UserError also if none can be read.
    """
    runs, errors = [], []
    for folder in folders:
        try:
            runs.append(read_run(folder))
            runs += _without_passages(runs[-1])
        except UserError as error:
            if strict:
                raise
            errors.append(str(error))
            log(f"skipped: {error}")
    if not runs:
        raise UserError("\n".join(["no run can be shown:", *errors]))
    return runs


def read_run(folder: Path) -> RunResult:
    """Read one run of explore or finetune with the exam that it answered.

    Raises UserError if a file is missing or damaged, or the exam has changed since.
    """
    config, metrics = read_yaml(folder / CONFIG), _read_json(folder / METRICS)
    tuned = config.get("command") == "finetune"
    data = config.get("data") or {}
    questions, usage = _test_exam(folder, data) if tuned else _suite_exam(folder)
    scored = read_predictions(folder / PREDICTIONS)
    if [one.id for one in scored] != [question.id for question in questions]:
        raise UserError(
            f"{folder / PREDICTIONS}: not the questions of its exam. Run the command again."
        )
    beside = resolve_path(data["test"]).parent if tuned else folder.parent
    return RunResult(
        name=_name(folder, config, tuned=tuned),
        kind="tuned" if tuned else "candidate",
        folder=folder,
        questions=questions,
        usage=usage,
        scored=scored,
        config=config,
        metrics=metrics,
        row={} if tuned else _leaderboard(folder.parent).get(folder.name, {}),
        retrieved=_read_retrieved(folder / RETRIEVED),
        provenance=_read_provenance(beside / PROVENANCE),
    )


def failures(folders: Sequence[Path]) -> list[Failure]:
    """Return the candidates without a score on the leaderboards beside these run folders."""
    return [
        Failure(row["model"], suite, row.get("status", ""))
        for suite in dict.fromkeys(folder.parent for folder in folders)
        for row in _leaderboard(suite).values()
        if row.get("status") not in ("scored", "")
    ]


def _without_passages(run: RunResult) -> list[RunResult]:
    """Return the same run answering without a wiki's passages, if it has those predictions."""
    path = run.folder / WITHOUT_PASSAGES
    if run.kind != "tuned" or not path.is_file():
        return []
    metrics = {key: value for key, value in run.metrics.items() if key != "training"}
    name, scored = f"{run.name}{WITHOUT}", read_predictions(path)
    return [replace(run, name=name, scored=scored, metrics=metrics, retrieved={})]


def _is_current(folder: Path, root: Path) -> bool:
    inside = folder.relative_to(root).parts
    skipped = any(part.startswith(".") or SUPERSEDED.search(part) for part in inside)
    return not skipped and (folder / CONFIG).is_file()


def _name(folder: Path, config: dict[str, Any], *, tuned: bool) -> str:
    if not tuned:
        return folder.name.replace("__", "/")
    recipe = str((config.get("recipe") or {}).get("name", folder.name))
    return recipe if recipe == folder.name else f"{recipe} ({folder.name})"


def _suite_exam(folder: Path) -> tuple[tuple[Question, ...], Halves]:
    suite = folder.parent
    if not (suite / EXAM).is_file():
        raise UserError(
            f"{suite / EXAM}: not found, so the questions of {folder} are unknown. Run the "
            "same ./run.sh explore again; cached scores are reused."
        )
    exam, key = read_exam(suite / EXAM), read_answer_key(suite / SOLUTION)
    return with_answers(exam, key).questions, key.usage


def _test_exam(folder: Path, data: dict[str, Any]) -> tuple[tuple[Question, ...], Halves]:
    exam = read_exam(_unchanged(folder, data, "test"))
    if not data.get("solution"):
        return exam.questions, public_private_split([q.id for q in exam.questions])
    key = read_answer_key(_unchanged(folder, data, "solution"))
    return with_answers(exam, key).questions, key.usage


def _unchanged(folder: Path, data: dict[str, Any], which: str) -> Path:
    path = resolve_path(str(data.get(which)))
    if not path.is_file():
        raise UserError(f"{folder}: its {which} file {path} is missing. Restore it.")
    if sha256_file(path) != (data.get("sha256") or {}).get(which):
        raise UserError(f"{path}: has changed since {folder}. Run the same finetune again.")
    return path


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise UserError(f"{path}: expected a JSON object. Run the command again.")
    return value


def _leaderboard(suite: Path) -> dict[str, dict[str, str]]:
    """Return the rows of a leaderboard by candidate folder; empty if there is none."""
    path = suite / LEADERBOARD
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row.get("model")]
    return {row["model"].replace("/", "__"): row for row in rows}


def _read_retrieved(path: Path) -> Passages:
    found: Passages = {}
    for row in _parquet_rows(path, ("id", "title", "text")):
        passage = str(row["title"]), str(row["text"]), row.get("score")
        found.setdefault(str(row["id"]), []).append(passage)
    return found


def _read_provenance(path: Path) -> dict[str, dict[str, Any]]:
    return {
        str(row.pop("id")): {name: value for name, value in row.items() if value is not None}
        for row in _parquet_rows(path, ("id",))
        if not row.get("removed")
    }


def _parquet_rows(path: Path, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    """Read rows; none if there is no file. Raises UserError if a column is missing."""
    if not path.is_file():
        return []
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    missing = [name for name in columns if name not in table.column_names]
    if missing:
        raise UserError(f"{path}: column {missing[0]} is missing.")
    return list(table.to_pylist())
