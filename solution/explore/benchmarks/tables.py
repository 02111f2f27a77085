"""The tables of a suite of benchmarks, for people and as CSV; and what to mind about them."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from solution.core import aligned, atomic_write, markdown
from solution.explore.benchmarks.published import Column, PublishedRow, slips
from solution.explore.benchmarks.suite import BenchmarkSuite, Task
from solution.explore.statistics import mcnemar, mean

CONSTANT = 0.95
SAME = 0.05
# A published figure so close to a constant answer's may come from one.
NEAR = 0.03
COLUMNS = (
    "model",
    "task",
    "shots",
    "family",
    "fast",
    "limit",
    "figure",
    "value",
    "ci_low",
    "ci_high",
    "p_best",
    "accuracy",
    "macro_f1",
    "generated_accuracy",
    "most_common_answer",
    "most_common_share",
    "positions",
    "key_positions",
    "calibration_error",
    "rows",
    "truncated_rows",
    "excluded_rows",
    "seconds",
    "peak_memory_gib",
    "status",
    "source",
)
NAMES = {"macro_f1": "macro-F1", "by_subject": "mean of subjects", "mc2": "true probability"}


class Row(Protocol):
    """A candidate with its cells' figures, whether each row was right, and why cells lack."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def cells(self) -> dict[Column, dict[str, Any]]: ...  # noqa: D102
    @property
    def right(self) -> dict[Column, list[bool]]: ...  # noqa: D102
    @property
    def reason(self) -> str: ...  # noqa: D102


@dataclass(frozen=True)
class Table:
    """One table: its title, and its columns with their headings."""

    title: str
    columns: dict[Column, str]
    average: bool


def tables(
    suite: BenchmarkSuite,
    measured: Sequence[Row],
    published: Sequence[PublishedRow],
    *,
    as_markdown: bool = False,
) -> str:
    """All tables with their notes, as text for a terminal or as Markdown."""
    shown = [] if suite.fast or suite.limit else published
    p_values = compared(measured)
    pieces = [_heading(suite)]
    for table in _tables(suite):
        header = ["model", *table.columns.values(), *(["AVG"] if table.average else []), ""]
        cells = [_measured_cells(suite, table, row, p_values) for row in measured]
        cells += [c for row in shown if (c := _published_cells(suite, table, row))]
        draw = markdown if as_markdown else aligned
        mark = "## " if as_markdown else ""
        pieces.append(f"{mark}{table.title}\n\n{draw(header, cells)}")
    lines = _notes(suite, measured, shown)
    pieces.append("\n".join(f"- {line}" if as_markdown else line for line in lines))
    return "\n\n".join(pieces) + ("\n" if as_markdown else "")


def compared(measured: Sequence[Row]) -> dict[tuple[str, Column], float]:
    """By name and column, the p-value that a candidate is as good as the column's best."""
    found = {}
    for column in dict.fromkeys(column for row in measured for column in row.cells):
        rows = [row for row in measured if column in row.cells]
        best = max(rows, key=lambda row: float(row.cells[column]["value"]))
        for row in rows:
            if row is not best:
                found[row.name, column] = mcnemar(best.right[column], row.right[column])
    return found


def write_csv(
    path: Path,
    suite: BenchmarkSuite,
    measured: Sequence[Row],
    published: Sequence[PublishedRow],
) -> None:
    """Write one line a cell: all that was measured, and what was published, with its source."""
    p_values = compared(measured)
    lines: list[dict[str, Any]] = []
    for task in suite.tasks:
        for shots in task.shots:
            column = (task.task, shots)
            common = {"task": task.task, "shots": shots, "family": suite.family}
            drawn = {"fast": suite.fast, "limit": suite.limit, "figure": task.figure}
            for row in measured:
                own = row.cells.get(column, {})
                told = {k: v for k, v in own.items() if k in COLUMNS}
                status = "measured" if own else _status(row)
                p = p_values.get((row.name, column))
                lines.append(
                    {"model": row.name, "p_best": p, "status": status} | told | common | drawn
                )
            for other in published:
                if column in other.values:
                    value = {"value": other.values[column], "source": other.source}
                    told = {"model": other.model, "status": "published"}
                    lines.append(told | common | {"figure": task.figure} | value)
    with atomic_write(path) as partial, partial.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, COLUMNS, lineterminator="\n", restval="")
        writer.writeheader()
        writer.writerows(lines)


def _status(row: Row) -> str:
    return f"failed: {row.reason}" if row.reason else "not scored yet"


def _heading(suite: BenchmarkSuite) -> str:
    drawn = "the same shots for all rows" if suite.fast else "shots drawn for each row"
    part = f"; the first {suite.limit} rows only" if suite.limit else ""
    if all(task.shots == [0] for task in suite.tasks):
        drawn = "no shots"
    return f"{suite.name}, prompts of family {suite.family}, {drawn}{part}"


def _tables(suite: BenchmarkSuite) -> list[Table]:
    """A table a task, or one whose columns are tasks where each has one number of shots."""
    if suite.one_table:
        columns = {
            (task.task, task.shots[0]): f"{_title(task)}"
            + (f" ({task.shots[0]}-shot)" if suite.family != "exam" else "")
            for task in suite.tasks
        }
        figures = {NAMES.get(task.figure, task.figure) for task in suite.tasks}
        title = f"{suite.name} ({', '.join(sorted(figures))})"
        return [Table(title, columns, suite.average)]
    return [
        Table(
            f"{_title(task)} ({NAMES.get(task.figure, task.figure)})",
            {(task.task, shots): f"{shots}-shot" for shots in task.shots},
            average=False,
        )
        for task in suite.tasks
    ]


def _title(task: Task) -> str:
    return task.title or task.task


def _measured_cells(
    suite: BenchmarkSuite,
    table: Table,
    row: Row,
    p_values: Mapping[tuple[str, Column], float],
) -> list[str]:
    cells = [row.name]
    for column in table.columns:
        own = row.cells.get(column)
        p = p_values.get((row.name, column), 0.0)
        cells.append("" if own is None else _cell(suite, own, p))
    if table.average:
        found = [row.cells[column]["value"] for column in table.columns if column in row.cells]
        whole = len(found) == len(table.columns)
        cells.append(_number(suite, mean(found)) if whole else "")
    return [*cells, "failed" if row.reason else ""]


def _cell(suite: BenchmarkSuite, own: Mapping[str, Any], p: float) -> str:
    """The figure, half its interval, ≈ where it may equal the best, † for a constant answer."""
    half = (own["ci_high"] - own["ci_low"]) / 2
    mark = ("≈" if p >= SAME else "") + ("†" if own["most_common_share"] >= CONSTANT else "")
    return f"{_number(suite, own['value'])} ±{_number(suite, half)}{mark}"


def _published_cells(suite: BenchmarkSuite, table: Table, row: PublishedRow) -> list[str]:
    """The cells of a published row; none where it has no figure in this table."""
    found = [row.values.get(column) for column in table.columns]
    known = [value for value in found if value is not None]
    if not known:
        return []
    cells = [row.model, *("" if value is None else _number(suite, value) for value in found)]
    if table.average:
        cells.append(_number(suite, mean(known)) if len(known) == len(found) else "")
    return [*cells, "published"]


def _number(suite: BenchmarkSuite, value: float) -> str:
    return f"{value * 100:.2f}" if suite.percent else f"{value:.4f}"


def _notes(
    suite: BenchmarkSuite, measured: Sequence[Row], published: Sequence[PublishedRow]
) -> list[str]:
    notes = [
        "±: half the 95 % interval, rows on one text counted together. ≈: exact McNemar test "
        f"against the column's best, p ≥ {SAME}: the order may be chance. †: one answer to "
        f"{CONSTANT:.0%} of the rows or more.",
    ]
    for row in measured:
        notes += _warnings(row)
    if published:
        sources = "; ".join(dict.fromkeys(row.source for row in published))
        notes.append(f"published: taken from {sources}; measured by others, not by us")
        digits = (100, 2) if suite.percent else (1, 4)
        notes += slips(published, *digits) + _near_constant(measured, published)
    return notes


def _warnings(row: Row) -> list[str]:
    warnings = [f"{row.name}: {_status(row)}"] if row.reason or not row.cells else []
    cells = {f"{task} {shots}-shot": own for (task, shots), own in row.cells.items()}
    told = {
        "gives one answer to nearly all rows, so its score says little but how often that is "
        "right": {
            cell: f"answer {own['most_common_answer']} to {own['most_common_share']:.1%}"
            for cell, own in cells.items()
            if own["most_common_share"] >= CONSTANT
        },
        "lost text of rows that were too long for it": {
            cell: f"{own['truncated_rows']} of {own['rows']} rows"
            for cell, own in cells.items()
            if own["truncated_rows"]
        },
        "was not asked rows that are excluded": {
            cell: f"{own['excluded_rows']} rows"
            for cell, own in cells.items()
            if own["excluded_rows"]
        },
    }
    for what, where in told.items():
        if where:
            named = ", ".join(f"{cell} ({how})" for cell, how in where.items())
            warnings.append(f"{row.name} {what}: {named}")
    return warnings


def _near_constant(measured: Sequence[Row], published: Sequence[PublishedRow]) -> list[str]:
    """Published figures that one answer for all rows would earn, where we know the key."""
    earned: dict[Column, list[float]] = {}
    for one in measured:
        for column, own in one.cells.items():
            if len(own["constant"]) == 2:
                earned[column] = own["constant"]
    notes = []
    for row in published:
        for column, value in row.values.items():
            if any(0 <= value - constant <= NEAR for constant in earned.get(column, [])):
                cell = f"{row.model}, {column[0]} {column[1]}-shot"
                notes.append(
                    f"published: {cell}: {value:.4f} is about what one answer to all rows earns"
                )
    return notes
