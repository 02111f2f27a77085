"""What a model was trained on, carried from its adapter into every file of its predictions."""

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
    """One training question. `fold` is None where every model behind the file read it.

    In predictions of K folds a row stands with the one fold whose model did not read it; that
    model alone made the row's prediction.
    """

    id: str
    content_hash: str
    """`solution.exam.content_hash`: the same question under another id is found too."""
    source: str = ""
    fold: int | None = None


def trained(questions: Iterable[Question], fold: int | None = None) -> list[TrainedQuestion]:
    """The entries of questions that a model is trained on."""
    return [TrainedQuestion(q.id, content_hash(q), q.source, fold) for q in questions]


def write_trained(adapter: Path, rows: Iterable[TrainedQuestion]) -> None:
    """Leave the list in an adapter's folder, where `trained_rows` looks for it."""
    write_json(adapter / TRAINED_ON, [list(row) for row in rows])


def trained_rows(reference: ModelReference) -> list[TrainedQuestion] | None:
    """What a model was trained on here: nothing for a plain base model, None if not known."""
    folders = [resolve_path(place) for place in (reference.model, reference.adapter) if place]
    told = [folder / TRAINED_ON for folder in folders if (folder / TRAINED_ON).is_file()]
    if reference.adapter and not (resolve_path(reference.adapter) / TRAINED_ON).is_file():
        return None
    return [row for path in told for row in _rows(path)]


def as_trained(value: Any, place: str) -> list[TrainedQuestion] | None:
    """The list as JSON holds it; UserError where it is another thing."""
    if value is None:
        return None
    try:
        return [TrainedQuestion(*row) for row in value]
    except TypeError as error:
        raise UserError(f"{place}: trained_on: expected a list of training rows") from error


def _rows(path: Path) -> list[TrainedQuestion]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {error}. Copy the adapter again.") from error
    return as_trained(value, str(path)) or []
