"""What to mind about a leaderboard: where its figures come from, and which say little."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from solution.explore.key import Key
from solution.explore.statistics import positions

SCORED, WAITING = "scored", "not scored yet"
SAME = 0.05
CONSTANT = 0.95
GENERATED = (
    "unparsed/cut off/refused: generated texts without an answer; a question none of whose "
    "texts has one is answered by the probability of its choices (fallback_rows)."
)

Row = dict[str, Any]


def notes_on(rows: Sequence[Row], base: Sequence[Row], key: Key) -> list[str]:
    """What to mind about the rows of candidates and of baselines, one line each."""
    notes = [
        "95 % interval: Student's t, questions of one passage counted together. p (best): "
        "exact McNemar test against the first row; p (Holm): the same, adjusted over all "
        f"pairs of rows; ≈ (p ≥ {SAME}): the order may be chance.",
        "q/s: questions a second; GiB: the most memory held. Baselines know no language: the "
        "key's most frequent answer, chance, the longest choice, the choice whose words share "
        "most letter pairs with the passage.",
    ]
    if any(row["status"] == SCORED for row in rows):
        notes.append(_positions(rows, key))
    notes += _orders(rows) + _published(rows)
    if any("unparsed" in row for row in rows):
        notes.append(GENERATED)
    best = max(base, key=lambda row: float(row["accuracy"]))
    for row in rows:
        notes += _warnings(row, best)
    return notes


def _positions(rows: Sequence[Row], key: Key) -> str:
    """Where the answers stand, by the key and by each candidate."""
    own = "; ".join(f"{row['model']} {row['positions']}" for row in rows if "positions" in row)
    return f"Answers at choice 1/2/…: key {positions(key.answers)}; {own}"


def _orders(rows: Sequence[Row]) -> list[str]:
    """How often the order decides, and where answers stood over all orders."""
    moved = [row for row in rows if "order_changes" in row]
    if not moved:
        return []
    own = "; ".join(f"{row['model']} {row['order_positions']}" for row in moved)
    return [
        "order changes: the share of questions whose answer is not the same choice in every "
        f"order asked. Places over all orders: key {moved[0]['order_key_positions']}; {own}"
    ]


def _published(rows: Sequence[Row]) -> list[str]:
    theirs = [row for row in rows if row["status"] == SCORED and "published_public" in row]
    if not theirs:
        return []
    notes = [
        "p (published): Fisher's exact test of our right answers against the count that the "
        "published accuracy implies, as if independent (who was right where is not known)."
    ]
    if other := [row["model"] for row in theirs if row["p_published"] is None]:
        notes.append(
            f"{', '.join(other)}: the published accuracy is no whole number of this exam's "
            "questions, so it was measured on others and is not compared"
        )
    return notes


def _warnings(row: Row, best: Row) -> list[str]:
    name = row["model"]
    if row["status"] != SCORED:
        return [f"{name}: {row['status']}"]
    warnings = []
    if row["most_common_share"] >= CONSTANT:
        warnings.append(
            f"{name}: answers {row['most_common_answer']} to {row['most_common_share']:.0%} of "
            "the questions, so its score says little but how often that is right"
        )
    if row["accuracy"] <= best["accuracy"]:
        warnings.append(f"{name}: no better than the baseline '{best['model']}'")
    if row.get("truncated_rows"):
        warnings.append(
            f"{name}: {row['truncated_rows']} questions were too long and lost passage text"
        )
    return warnings
