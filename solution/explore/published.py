"""Published figures for the same tasks, shown beside the measured ones."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from solution.core import ErrorCollector, UserError, resolve_path
from solution.scoring import PromptFamily

COLUMNS = ("task", "shots", "prompt_family", "model", "value", "source")
# A column of a table: the task and its shots.
Column = tuple[str, int]


@dataclass(frozen=True)
class PublishedRow:
    """A model's published figures (fractions of 1)."""

    model: str
    source: str
    values: dict[Column, float]


def read_published(file: str | None, family: PromptFamily) -> list[PublishedRow]:
    """Read the rows of one prompt family, in the order of the file.

    Raises UserError with every invalid line.
    """
    if file is None:
        return []
    path = resolve_path(file)
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            lines = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"published {path}: cannot be read ({error}).") from error
    return _rows(
        path, [line for line in _checked(path, lines) if line["prompt_family"] == family]
    )


def _checked(path: Path, lines: list[dict[str, str]]) -> list[dict[str, str]]:
    problems = ErrorCollector(str(path))
    for number, line in enumerate(lines, start=2):
        try:
            fits = set(line) == set(COLUMNS) and int(line["shots"]) >= 0
            fits = fits and 0 <= float(line["value"]) <= 1
        except (KeyError, TypeError, ValueError):
            fits = False
        if not fits:
            problems.add(f"line {number}: expected {', '.join(COLUMNS)}; value from 0 to 1")
    problems.raise_if_any("Fix these lines.")
    return lines


def _rows(path: Path, lines: Sequence[dict[str, str]]) -> list[PublishedRow]:
    values: dict[tuple[str, str], dict[Column, float]] = defaultdict(dict)
    for line in lines:
        column = (line["task"], int(line["shots"]))
        own = values[line["model"], line["source"]]
        if column in own:
            raise UserError(f"{path}: {line['model']} has two values for {column}.")
        own[column] = float(line["value"])
    return [PublishedRow(model, source, own) for (model, source), own in values.items()]
