"""The leaderboard: what candidates earned on one exam, the baselines, and what to mind."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from solution.core import aligned, atomic_write, markdown
from solution.explore.baselines import RANDOM, baselines
from solution.explore.candidates import Outcome
from solution.explore.key import Key, credits_of, figures
from solution.explore.notes import SAME, SCORED, WAITING, Row, notes_on
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
    "model",
    "accuracy",
    "ci_low",
    "ci_high",
    "public",
    "private",
    "macro_f1",
    "questions",
    "seconds",
    "questions_per_second",
    "peak_memory_gib",
    "status",
    "p_best",
    "p_best_holm",
    "most_common_answer",
    "most_common_share",
    "truncated_rows",
    "published_public",
    "published_private",
    "p_published",
    "calibration_error",
    "positions",
    "order_changes",
    "order_positions",
    "order_key_positions",
    "unparsed",
    "cut_off",
    "refused",
    "fallback_rows",
    "parameters",
    "licence",
)


def leaderboard(suite: Suite, key: Key, outcomes: Sequence[Outcome]) -> list[Row]:
    """One row a candidate, best first, those without a score last; keys as in `columns`."""
    by_name = {outcome.name: outcome for outcome in outcomes}
    rows = [_row(candidate, key, by_name.get(candidate.name)) for candidate in suite.candidates]
    rows.sort(
        key=lambda row: -row.get("accuracy", -1.0)
    )  # stable: equals stay in the suite's order
    _compare(rows, key, by_name)
    return rows


def columns(key: Key) -> list[str]:
    """The columns of leaderboard.csv for this exam."""
    return [*COLUMNS, *(f"accuracy_{subject}" for subject in key.subjects)]


def write_csv(path: Path, key: Key, rows: Sequence[Row]) -> None:
    """Write the leaderboard whole; fractions with six digits, unknown values blank."""
    with atomic_write(path) as partial, partial.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(columns(key))
        for row in rows:
            writer.writerow([_number(row.get(name), 6) for name in columns(key)])


def text(suite: Suite, key: Key, rows: Sequence[Row], *, as_markdown: bool = False) -> str:
    """The leaderboard for people: a heading, the table with the baselines, and notes."""
    base = _baseline_rows(key)
    shown = _columns_shown(key, rows)
    cells = [[_cell(row, name) for name in shown.values()] for row in [*rows, *base]]
    header = list(shown)
    if as_markdown:
        notes = "\n".join(f"- {line}" for line in notes_on(rows, base, key))
        return f"## {_heading(suite, key)}\n\n{markdown(header, cells)}\n\n{notes}\n"
    lines = aligned(header, cells).split("\n")
    lines.insert(2 + len(rows), lines[1])  # a rule between candidates and baselines
    return "\n".join([_heading(suite, key), "", *lines, "", *notes_on(rows, base, key)])


def _baseline_rows(key: Key) -> list[Row]:
    rows: list[Row] = []
    for name, guesses in baselines(key.questions, key.answers).items():
        row = {"model": name, "status": "baseline", **figures(key, guesses)}
        if name == RANDOM:  # not measured but known: no interval
            del row["ci_low"], row["ci_high"]
        rows.append(row)
    return rows


def _row(candidate: Candidate, key: Key, outcome: Outcome | None) -> Row:
    row: Row = {"model": candidate.name, "status": WAITING, "licence": candidate.licence}
    if candidate.published:
        row["published_public"] = candidate.published.public
        row["published_private"] = candidate.published.private
    if outcome is None:
        return row
    if outcome.measured is None:
        return row | {"status": f"failed: {outcome.reason}"}
    row |= {name: value for name, value in outcome.measured.items() if name in COLUMNS}
    guesses = [(answer,) for answer in outcome.answers]
    row |= figures(key, guesses)
    sure = [max(one.probability) for one in outcome.scored or []]
    right = [credit == 1 for credit in credits_of(key, guesses)]
    row["calibration_error"] = calibration_error(sure, right)
    row["positions"] = positions(outcome.answers)
    row |= order_effect(key.questions, key.answers, outcome.scored or [])
    if candidate.published:
        row["p_published"] = _against(candidate.published, key, right)
    row["most_common_answer"], row["most_common_share"] = most_common(outcome.answers)
    return row | {"status": SCORED}


def _against(published: Published, key: Key, right: Sequence[bool]) -> float | None:
    """The p-value that we are as good as what was published; None where that is no count.

    The published shares of both halves must be whole numbers of this exam's rows: else they
    were measured on other ones.
    """
    counts = [
        implied_count(share, key.usage.count(half))
        for share, half in ((published.public, "Public"), (published.private, "Private"))
    ]
    known = [count for count in counts if count is not None]
    return two_shares(sum(right), sum(known), len(right)) if len(known) == 2 else None


def _compare(rows: Sequence[Row], key: Key, outcomes: dict[str, Outcome]) -> None:
    """Add to each scored row but the first its p-value against the first, raw and adjusted."""
    scored = [row for row in rows if row["status"] == SCORED]
    right = [
        [c == 1 for c in credits_of(key, [(a,) for a in outcomes[row["model"]].answers])]
        for row in scored
    ]
    adjusted = adjusted_pairwise(right)
    for i, row in enumerate(scored[1:], start=1):
        row["p_best"], row["p_best_holm"] = mcnemar(right[0], right[i]), adjusted[0, i]


def _columns_shown(key: Key, rows: Sequence[Row]) -> dict[str, str]:
    """Header to key of each column shown; a few of `columns` are joined or left to the CSV."""
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


def _heading(suite: Suite, key: Key) -> str:
    public = key.usage.count("Public")
    return (
        f"{suite.name} on {key.exam.name}: {len(key.questions)} questions on "
        f"{len(set(key.groups))} passages; {public} public, {len(key.usage) - public} private"
    )
