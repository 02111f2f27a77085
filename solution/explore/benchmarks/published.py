"""What others published for the same tasks: read, checked for slips, never mixed with ours."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from solution.core import ErrorCollector, UserError, resolve_path
from solution.scoring import Family

COLUMNS = ("task", "shots", "family", "model", "value", "source")
# The average that a source prints stands in its table as a task of this name.
AVERAGE = "average"

# A column of a table: the task and its shots.
Column = tuple[str, int]


@dataclass(frozen=True)
class PublishedRow:
    """One model's published figures (fractions of 1), with the average that was printed."""

    model: str
    source: str
    values: dict[Column, float]
    printed_average: float | None


def read_published(file: str | None, family: Family) -> list[PublishedRow]:
    """The rows of one family of prompts, in the order of the file.

    Raises UserError with every faulty line.
    """
    if file is None:
        return []
    path = resolve_path(file)
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            lines = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"published {path}: cannot be read ({error}).") from error
    return _rows(path, [line for line in _checked(path, lines) if line["family"] == family])


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
    problems.raise_if_any("Mend these lines.")
    return lines


def _rows(path: Path, lines: Sequence[dict[str, str]]) -> list[PublishedRow]:
    values: dict[tuple[str, str], dict[Column, float]] = defaultdict(dict)
    for line in lines:
        column = (line["task"], int(line["shots"]))
        own = values[line["model"], line["source"]]
        if column in own:
            raise UserError(f"{path}: {line['model']} has two values for {column}.")
        own[column] = float(line["value"])
    return [
        PublishedRow(
            model,
            source,
            {column: value for column, value in own.items() if column[0] != AVERAGE},
            next((value for (task, _), value in own.items() if task == AVERAGE), None),
        )
        for (model, source), own in values.items()
    ]


def slips(rows: Sequence[PublishedRow], scale: float, digits: int) -> list[str]:
    """Lines on what cannot be right in published figures: cells copied, averages amiss.

    `scale` and `digits` are those of the table, `digits` also those that a source prints.
    """
    notes = []
    for one, other in combinations(rows, 2):
        shared = [c for c, v in one.values.items() if other.values.get(c) == v]
        # Between two rows one equal cell is chance; two at the same shots are a slip.
        shots = {n for _, n in shared if sum(n == m for _, m in shared) > 1}
        copied = [f"{task} {n}-shot" for task, n in shared if n in shots]
        if copied:
            notes.append(
                f"published: {one.model} and {other.model} have the same figures in "
                f"{', '.join(copied)}; one was probably copied from the other"
            )
    for row in rows:
        if row.printed_average is None or not row.values:
            continue
        real = sum(row.values.values()) / len(row.values)
        if abs(real - row.printed_average) * scale > 0.6 * 10**-digits:
            notes.append(
                f"published: {row.model}'s average was printed as "
                f"{row.printed_average * scale:.{digits}f}; its figures give "
                f"{real * scale:.{digits}f}"
            )
    return notes
