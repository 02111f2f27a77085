"""Tables of a suite with several columns (exams, tasks by shots), as text and as CSV."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from solution.core import aligned, atomic_write, markdown
from solution.explore.notes import CONSTANT, SAME, table_notes
from solution.explore.published import Column, PublishedRow
from solution.explore.statistics import format_accuracy, mcnemar, mean
from solution.explore.suite import Suite

COLUMNS = (
    *("model", "task", "shots", "prompt_family", "fixed_shots", "limit", "metric", "value"),
    *("ci_low", "ci_high", "p_best", "accuracy", "macro_f1", "generated_accuracy"),
    *("most_common_answer", "most_common_share", "positions", "key_positions"),
    *("calibration_error", "questions", "truncated_rows", "excluded_rows", "seconds"),
    *("peak_memory_gib", "status", "source"),
)
METRICS = {
    "acc": "accuracy",
    "acc_norm": "accuracy",
    "macro_f1": "macro-F1",
    "acc_by_subject": "mean of subjects",
    "mc2": "true probability",
}


@dataclass
class TableRow:
    """A candidate: metrics and right answers by column, and why columns are missing."""

    name: str
    cells: dict[Column, dict[str, Any]] = field(default_factory=dict)
    right: dict[Column, list[bool]] = field(default_factory=dict)
    reason: str = ""

    @property
    def status(self) -> str:
        """Why a column is missing."""
        return f"failed: {self.reason}" if self.reason else "not scored yet"


@dataclass(frozen=True)
class Table:
    """One table: its title, and its columns with their headings."""

    title: str
    columns: dict[Column, str]
    average: bool = False


@dataclass(frozen=True)
class ColumnEntry:
    """One column of a suite: an exam, or a task at one number of shots."""

    column: Column
    title: str
    metric: str
    is_exam: bool


def suite_columns(suite: Suite, exams: Sequence[str]) -> list[ColumnEntry]:
    """Return the columns of a suite of which only `exams` are there."""
    titles = {entry.name: entry.title or entry.name for entry in suite.exams}
    found = [ColumnEntry((name, 0), titles.get(name, name), "acc", True) for name in exams]
    for entry in suite.tasks:
        title = entry.title or entry.task
        found += [ColumnEntry((entry.task, n), title, entry.metric, False) for n in entry.shots]
    return found


def format_tables(
    suite: Suite,
    columns: Sequence[ColumnEntry],
    rows: Sequence[TableRow],
    published: Sequence[PublishedRow],
    *,
    as_markdown: bool = False,
) -> str:
    """Return all tables with their notes, for a terminal or as Markdown."""
    shown = [] if suite.fixed_shots or suite.limit else published
    p_values = compare(rows)
    pieces = [_heading(suite)]
    for table in _tables(suite, columns):
        header = ["model", *table.columns.values(), *(["AVG"] if table.average else []), ""]
        cells = [_measured_cells(suite, table, row, p_values) for row in rows]
        cells += [own for row in shown if (own := _published_cells(suite, table, row))]
        draw = markdown if as_markdown else aligned
        pieces.append(f"{'## ' if as_markdown else ''}{table.title}\n\n{draw(header, cells)}")
    lines = table_notes([(r.name, r.cells, r.status) for r in rows], [r.source for r in shown])
    pieces.append("\n".join(f"- {line}" if as_markdown else line for line in lines))
    return "\n\n".join(pieces) + ("\n" if as_markdown else "")


def compare(rows: Sequence[TableRow]) -> dict[tuple[str, Column], float]:
    """Return by name and column McNemar's p-value against the column's best."""
    found = {}
    for column in dict.fromkeys(column for row in rows for column in row.cells):
        own = [row for row in rows if column in row.cells]
        best = max(own, key=lambda row: float(row.cells[column]["value"]))
        for row in own:
            if row is not best:
                found[row.name, column] = mcnemar(best.right[column], row.right[column])
    return found


def write_results(
    path: Path,
    suite: Suite,
    columns: Sequence[ColumnEntry],
    rows: Sequence[TableRow],
    published: Sequence[PublishedRow],
) -> None:
    """Write a line per cell: what was measured, and what was published, with its source."""
    p_values = compare(rows)
    lines: list[dict[str, Any]] = []
    for entry in columns:
        common = {"task": entry.column[0], "shots": entry.column[1], "metric": entry.metric}
        if not entry.is_exam:
            common["prompt_family"] = suite.prompt_family
        drawn = {"fixed_shots": suite.fixed_shots, "limit": suite.limit}
        for row in rows:
            own = row.cells.get(entry.column, {})
            known = {name: value for name, value in own.items() if name in COLUMNS}
            p_value = p_values.get((row.name, entry.column))
            status = "measured" if own else row.status
            lines.append({"model": row.name, "p_best": p_value, "status": status} | known)
            lines[-1] |= common | drawn
        for other in published:
            if entry.column in other.values:
                value = {"value": other.values[entry.column], "source": other.source}
                lines.append({"model": other.model, "status": "published"} | common | value)
    with atomic_write(path) as partial, partial.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, COLUMNS, lineterminator="\n", restval="")
        writer.writeheader()
        writer.writerows(lines)


def _heading(suite: Suite) -> str:
    if not suite.tasks:
        return f"{suite.name}, prompt {suite.prompt}"
    drawn = "the same shots for all rows" if suite.fixed_shots else "shots drawn for each row"
    if all(task.shots == [0] for task in suite.tasks):
        drawn = "no shots"
    part = f"; the first {suite.limit} rows only" if suite.limit else ""
    return f"{suite.name}, prompts of family {suite.prompt_family}, {drawn}{part}"


def _tables(suite: Suite, columns: Sequence[ColumnEntry]) -> list[Table]:
    """A table per task, or one for all columns where each task has one number of shots."""
    if all(len(task.shots) == 1 for task in suite.tasks):
        headings = {
            one.column: one.title + ("" if one.is_exam else f" ({one.column[1]}-shot)")
            for one in columns
        }
        metrics = sorted({METRICS[one.metric] for one in columns})
        return [Table(f"{suite.name} ({', '.join(metrics)})", headings, suite.average)]
    tables: dict[str, Table] = {}
    for one in columns:
        title = f"{one.title} ({METRICS[one.metric]})"
        table = tables.setdefault(one.column[0], Table(title, {}))
        table.columns[one.column] = "accuracy" if one.is_exam else f"{one.column[1]}-shot"
    return list(tables.values())


def _measured_cells(
    suite: Suite,
    table: Table,
    row: TableRow,
    p_values: Mapping[tuple[str, Column], float],
) -> list[str]:
    cells = [row.name]
    for column in table.columns:
        own = row.cells.get(column)
        p_value = p_values.get((row.name, column), 0.0)
        cells.append("" if own is None else _cell(suite, own, p_value))
    if table.average:
        found = [row.cells[column]["value"] for column in table.columns if column in row.cells]
        whole = len(found) == len(table.columns)
        cells.append(_number(suite, mean(found)) if whole else "")
    return [*cells, "failed" if row.reason else ""]


def _cell(suite: Suite, own: Mapping[str, Any], p_value: float) -> str:
    """The metric, half its interval, ≈ where it may equal the best, † for a constant answer."""
    half = (own["ci_high"] - own["ci_low"]) / 2
    mark = "≈" if p_value >= SAME else ""
    mark += "†" if own["most_common_share"] >= CONSTANT else ""
    return f"{_number(suite, own['value'])} ±{_number(suite, half)}{mark}"


def _published_cells(suite: Suite, table: Table, row: PublishedRow) -> list[str]:
    """The cells of a published row; none where it has no figure in this table."""
    found = [row.values.get(column) for column in table.columns]
    known = [value for value in found if value is not None]
    if not known:
        return []
    cells = [row.model, *("" if value is None else _number(suite, value) for value in found)]
    if table.average:
        cells.append(_number(suite, mean(known)) if len(known) == len(found) else "")
    return [*cells, "published"]


def _number(suite: Suite, value: float) -> str:
    return format_accuracy(value * 100, 2) if suite.percent else format_accuracy(value)
