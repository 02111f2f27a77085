"""Training questions of a model, carried from its adapter into its predictions."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from solution.core import UserError, resolve_path, write_json
from solution.exam import Question, content_hash
from solution.models import ModelReference

TRAINED_ON = "trained_on.json"


class TrainedQuestion(NamedTuple):
    """One training question.

    `fold` is None if every model behind the file was trained on it. In out-of-fold predictions
    it is the one fold whose model was not trained on it, and which made the prediction.
    """

    id: str
    content_hash: str
    """`solution.exam.content_hash`: finds the same question under another id too."""
    source: str = ""
    fold: int | None = None


def trained(questions: Iterable[Question], fold: int | None = None) -> list[TrainedQuestion]:
    """Return the entries of questions that a model is trained on."""
    return [TrainedQuestion(q.id, content_hash(q), q.source, fold) for q in questions]


def write_trained(adapter: Path, rows: Iterable[TrainedQuestion]) -> None:
    """Write the list into an adapter's folder, where `trained_rows` reads it."""
    write_json(adapter / TRAINED_ON, [list(row) for row in rows])


def trained_rows(reference: ModelReference) -> list[TrainedQuestion] | None:
    """Return a model's training questions: empty for a base model, None if unknown."""
    folders = [resolve_path(path) for path in (reference.model, reference.adapter) if path]
    if reference.adapter and not (resolve_path(reference.adapter) / TRAINED_ON).is_file():
        return None
    files = [folder / TRAINED_ON for folder in folders]
    return [row for path in files if path.is_file() for row in _rows(path)]


def as_trained(value: Any, path: str) -> list[TrainedQuestion] | None:
    """Return the list from its JSON value; raises UserError if it is something else."""
    if value is None:
        return None
    try:
        return [TrainedQuestion(*row) for row in value]
    except TypeError as error:
        raise UserError(f"{path}: trained_on: expected a list of training rows") from error


def _rows(path: Path) -> list[TrainedQuestion]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {error}. Copy the adapter again.") from error
    return as_trained(value, str(path)) or []
