"""The leaderboard of one exam: candidates and baselines, as text and as CSV."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from solution.core import aligned, atomic_write, markdown
from solution.explore.baselines import RANDOM, baselines
from solution.explore.metrics import ExamKey, accuracy_per_question, exam_metrics
from solution.explore.notes import SAME, SCORED, WAITING, Row, leaderboard_notes
from solution.explore.run_candidates import CandidateResult, CellResult
from solution.explore.statistics import (
    adjusted_pairwise,
    calibration_error,
    format_accuracy,
    implied_count,
    mcnemar,
    most_common,
    order_effect,
    positions,
    two_shares,
)
from solution.explore.suite import Candidate, Published, Suite

COLUMNS = (
    *("model", "accuracy", "ci_low", "ci_high", "public", "private", "macro_f1", "questions"),
    *("seconds", "questions_per_second", "peak_memory_gib", "status", "p_best", "p_best_holm"),
    *("most_common_answer", "most_common_share", "truncated_rows", "published_public"),
    *("published_private", "p_published", "calibration_error", "positions", "order_changes"),
    *("order_positions", "order_key_positions", "unparsed", "cut_off", "refused"),
    *("fallback_rows", "parameters", "licence", "label_mass", "label_mass_p5"),
)


def leaderboard(
    suite: Suite, exam: str, key: ExamKey, results: Mapping[str, CandidateResult]
) -> list[Row]:
    """Return a row per candidate, best first, those without a score last."""
    rows: list[Row] = []
    right: dict[str, list[bool]] = {}
    for candidate in suite.candidates:
        result = results.get(candidate.name)
        row: Row = {"model": candidate.name, "status": WAITING, "licence": candidate.licence}
        if candidate.published:
            row["published_public"] = candidate.published.public
            row["published_private"] = candidate.published.private
        if result and (cell := result.cells.get(exam)):
            guesses = [(answer,) for answer in cell.answers]
            right[candidate.name] = [c == 1 for c in accuracy_per_question(key, guesses)]
            row |= _scored_row(candidate, key, cell, right[candidate.name])
        elif result:
            row["status"] = f"failed: {result.reason}"
        rows.append(row)
    rows.sort(key=lambda row: -row.get("accuracy", -1.0))  # stable: ties in the suite's order
    _add_p_values([row for row in rows if row["status"] == SCORED], right)
    return rows


def _scored_row(
    candidate: Candidate, key: ExamKey, cell: CellResult, right: Sequence[bool]
) -> Row:
    row = {name: value for name, value in cell.metrics.items() if name in COLUMNS}
    row |= exam_metrics(key, [(answer,) for answer in cell.answers])
    sure = [max(one.probability) for one in cell.scored]
    row["calibration_error"] = calibration_error(sure, right)
    row["positions"] = positions(cell.answers)
    row |= order_effect(key.questions, key.answers, cell.scored)
    if candidate.published:
        row["p_published"] = _against(candidate.published, key, right)
    row["most_common_answer"], row["most_common_share"] = most_common(cell.answers)
    return row | {"status": SCORED}


def _add_p_values(rows: Sequence[Row], right: Mapping[str, list[bool]]) -> None:
    """Add to each row but the first its p-value against the first, raw and adjusted."""
    ordered = [right[row["model"]] for row in rows]
    adjusted = adjusted_pairwise(ordered)
    for i, row in enumerate(rows[1:], start=1):
        row["p_best"], row["p_best_holm"] = mcnemar(ordered[0], ordered[i]), adjusted[0, i]


def columns(key: ExamKey) -> list[str]:
    """Return the columns of leaderboard.csv for this exam."""
    return [*COLUMNS, *(f"accuracy_{subject}" for subject in key.subjects)]


def write_leaderboard(path: Path, key: ExamKey, rows: Sequence[Row]) -> None:
    """Write the leaderboard; fractions with six digits, unknown values blank."""
    with atomic_write(path) as partial, partial.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(columns(key))
        for row in rows:
            writer.writerow([_number(row.get(name), 6) for name in columns(key)])


def format_leaderboard(
    suite: Suite, key: ExamKey, rows: Sequence[Row], *, as_markdown: bool = False
) -> str:
    """Return the leaderboard as text: a heading, the table with the baselines, and notes."""
    base = _baseline_rows(key)
    shown = _columns_shown(key, rows)
    cells = [[_cell(row, name) for name in shown.values()] for row in [*rows, *base]]
    header = list(shown)
    if as_markdown:
        notes = "\n".join(f"- {line}" for line in leaderboard_notes(rows, base, key))
        return f"## {_heading(suite, key)}\n\n{markdown(header, cells)}\n\n{notes}\n"
    lines = aligned(header, cells).split("\n")
    lines.insert(2 + len(rows), lines[1])  # a rule between candidates and baselines
    return "\n".join(
        [_heading(suite, key), "", *lines, "", *leaderboard_notes(rows, base, key)]
    )


def _baseline_rows(key: ExamKey) -> list[Row]:
    rows: list[Row] = []
    for name, guesses in baselines(key.questions, key.answers).items():
        row = {"model": name, "status": "baseline", **exam_metrics(key, guesses)}
        if name == RANDOM:  # an exact expectation: no interval
            del row["ci_low"], row["ci_high"]
        rows.append(row)
    return rows


def _against(published: Published, key: ExamKey, right: Sequence[bool]) -> float | None:
    """The p-value of equality with the published accuracy; None where that was another exam.

    The published shares of both splits must be whole numbers of this exam's questions.
    """
    counts = [
        implied_count(share, key.usage.count(split))
        for share, split in ((published.public, "Public"), (published.private, "Private"))
    ]
    known = [count for count in counts if count is not None]
    return two_shares(sum(right), sum(known), len(right)) if len(known) == 2 else None


def _columns_shown(key: ExamKey, rows: Sequence[Row]) -> dict[str, str]:
    """Header to key of each column shown; the CSV has more."""
    shown = {
        "model": "model",
        "accuracy": "accuracy",
        "95 % interval": "interval",
        "public": "public",
        "private": "private",
        "macro-F1": "macro_f1",
    }
    shown |= {subject: f"accuracy_{subject}" for subject in key.subjects}
    shown |= {
        "p (best)": "p_best",
        "p (Holm)": "p_best_holm",
        "q/s": "questions_per_second",
        "GiB": "peak_memory_gib",
    }
    if any("published_public" in row for row in rows):
        shown |= {"published": "published", "p (published)": "p_published"}
    if any("order_changes" in row for row in rows):
        shown["order changes"] = "order_changes"
    if any("unparsed" in row for row in rows):
        shown["unparsed/cut off/refused"] = "generated"
    return shown | {"status": "status"}


def _cell(row: Row, name: str) -> str:
    if name == "interval" and "ci_low" in row:
        return f"{row['ci_low']:.3f}–{row['ci_high']:.3f}"
    if name == "published" and "published_public" in row:
        return f"{row['published_public']:.4f} / {row['published_private']:.4f}"
    if name == "status":
        return str(row["status"]).partition(":")[0]
    if name == "generated" and "unparsed" in row:
        return "/".join(str(row[part]) for part in ("unparsed", "cut_off", "refused"))
    value = row.get(name)
    if name.startswith("p_") and value is not None:
        return f"{'≈ ' if value >= SAME else ''}{value:.3f}"
    return _number(value, 2 if name in ("questions_per_second", "peak_memory_gib") else 4)


def _number(value: Any, digits: int) -> str:
    if value is None:
        return ""
    return format_accuracy(value, digits) if isinstance(value, float) else str(value)


def _heading(suite: Suite, key: ExamKey) -> str:
    public = key.usage.count("Public")
    return (
        f"{suite.name} on {key.exam.name}: {len(key.questions)} questions on "
        f"{len(set(key.groups))} passages; {public} public, {len(key.usage) - public} private"
    )
