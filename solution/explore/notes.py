"""Notes below leaderboards and tables: how to read them, and warnings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from solution.explore.metrics import ExamKey
from solution.explore.statistics import positions
from solution.scoring import EXPECTED_MASS

SCORED, WAITING = "scored", "not scored yet"
# p-values from here on: the order may be chance. Shares of one answer from here on: constant.
SAME, CONSTANT = 0.05, 0.95
GENERATED = (
    "unparsed/cut off/refused: generated texts without an answer; a question none of whose "
    "texts has one is answered by the probability of its choices (fallback_rows)."
)

Row = dict[str, Any]


def leaderboard_notes(rows: Sequence[Row], base: Sequence[Row], key: ExamKey) -> list[str]:
    """Return the notes on the rows of candidates and of baselines, one line each."""
    notes = [
        "95 % interval: Student's t, questions of one passage counted together. p (best): "
        "exact McNemar test against the first row; p (Holm): the same, adjusted over all "
        f"pairs of rows; ≈ (p ≥ {SAME}): the order may be chance.",
        "q/s: questions per second; GiB: peak memory. Baselines without a model: the key's "
        "most frequent answer, chance, the longest choice, the choice whose words share most "
        "letter pairs with the passage.",
    ]
    if any(row["status"] == SCORED for row in rows):
        own = "; ".join(
            f"{row['model']} {row['positions']}" for row in rows if "positions" in row
        )
        notes.append(f"Answers at choice 1/2/…: key {positions(key.answers)}; {own}")
    notes += _order_notes(rows) + _published_notes(rows)
    if any("unparsed" in row for row in rows):
        notes.append(GENERATED)
    best = max(base, key=lambda row: float(row["accuracy"]))
    for row in rows:
        notes += _row_warnings(row, best)
    return notes


def _order_notes(rows: Sequence[Row]) -> list[str]:
    moved = [row for row in rows if "order_changes" in row]
    if not moved:
        return []
    own = "; ".join(f"{row['model']} {row['order_positions']}" for row in moved)
    return [
        "order changes: share of the questions whose answer is not the same choice in every "
        f"order. Positions over all orders: key {moved[0]['order_key_positions']}; {own}"
    ]


def _published_notes(rows: Sequence[Row]) -> list[str]:
    compared = [row for row in rows if row["status"] == SCORED and "published_public" in row]
    if not compared:
        return []
    notes = [
        "p (published): Fisher's exact test of our right answers against the count that the "
        "published accuracy implies, as if independent (which ones were right is not known)."
    ]
    if other := [row["model"] for row in compared if row["p_published"] is None]:
        notes.append(
            f"{', '.join(other)}: the published accuracy is not a whole number of this exam's "
            "questions, so it was measured on others and is not compared"
        )
    return notes


def _row_warnings(row: Row, best: Row) -> list[str]:
    name = row["model"]
    if row["status"] != SCORED:
        return [f"{name}: {row['status']}"]
    warnings = []
    if row["most_common_share"] >= CONSTANT:
        warnings.append(
            f"{name}: gives answer {row['most_common_answer']} to "
            f"{row['most_common_share']:.0%} of the questions, so its score says little"
        )
    if row["accuracy"] <= best["accuracy"]:
        warnings.append(f"{name}: no better than the baseline '{best['model']}'")
    if row.get("truncated_rows"):
        warnings.append(
            f"{name}: {row['truncated_rows']} questions were too long and lost passage text"
        )
    if row.get("label_mass", 1.0) < EXPECTED_MASS:
        warnings.append(
            f"{name}: gives all labels together {row['label_mass']:.3f} of its probability: it "
            "does not expect an answer here (see ./run.sh prompt)"
        )
    return warnings


def table_notes(
    rows: Sequence[tuple[str, Mapping[tuple[str, int], Row], str]], sources: Sequence[str]
) -> list[str]:
    """Return the notes on tables: `rows` are names, cells by (task, shots) and statuses."""
    notes = [
        "±: half the 95 % interval, rows on one text counted together. ≈: exact McNemar test "
        f"against the column's best, p ≥ {SAME}: the order may be chance. †: one answer to "
        f"{CONSTANT:.0%} of the rows or more.",
    ]
    for name, cells, status in rows:
        if not cells or status.startswith("failed"):
            notes.append(f"{name}: {status}")
        notes += _cell_warnings(
            name, {f"{task} {n}-shot": own for (task, n), own in cells.items()}
        )
    if sources:
        unique = "; ".join(dict.fromkeys(sources))
        notes.append(f"published: taken from {unique}; measured by others, not by us")
    return notes


def _cell_warnings(name: str, cells: Mapping[str, Row]) -> list[str]:
    found = {
        "gives one answer to nearly all rows, so its score says little but how often that is "
        "right": {
            cell: f"answer {own['most_common_answer']} to {own['most_common_share']:.1%}"
            for cell, own in cells.items()
            if own["most_common_share"] >= CONSTANT
        },
        "lost text of rows that were too long for it": {
            cell: f"{own['truncated_rows']} of {own['questions']} rows"
            for cell, own in cells.items()
            if own["truncated_rows"]
        },
        "was not asked rows that are excluded": {
            cell: f"{own['excluded_rows']} rows"
            for cell, own in cells.items()
            if own.get("excluded_rows")
        },
    }
    return [
        f"{name} {what}: " + ", ".join(f"{cell} ({how})" for cell, how in where.items())
        for what, where in found.items()
        if where
    ]
