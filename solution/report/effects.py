"""What tuning, a wiki and retrieval changed: paired differences with their intervals."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from solution.explore import clustered_error, mcnemar
from solution.report.runs import WITHOUT, Entry

CONFIDENCE = 0.95
WIKI = ("-wiki", "-kowiki", "+wiki", "+kowiki")
RETRIEVAL = ("-with-passages", "-retrieval", "+retrieval", "-rag", "+rag")


def difference(
    after: Sequence[float], before: Sequence[float], groups: Sequence[int]
) -> tuple[float, float, float]:
    """The mean of after - before, paired by question, and its 95 % interval.

    Questions of one group hang together; Student's t on groups - 1. An interval of the whole
    range where fewer than two groups tell nothing.
    """
    from scipy.stats import t

    gains = [a - b for a, b in zip(after, before, strict=True)]
    centre = math.fsum(gains) / len(gains)
    count = len(set(groups))
    if count < 2:
        return centre, -1.0, 1.0
    reach = float(t.ppf((1 + CONFIDENCE) / 2, count - 1)) * clustered_error(gains, groups)
    return centre, max(-1.0, centre - reach), min(1.0, centre + reach)


def effects(
    entries: Sequence[Entry],
    credits: Sequence[Sequence[float]],
    groups: Sequence[int],
    subjects: Sequence[str],
) -> list[dict[str, Any]]:
    """Each comparison that the runs allow, over all questions and within each subject.

    `kind` is tuning, kowiki or retrieval; `of` and `versus` are indices into `entries`.
    """
    found = []
    for kind, after, before in dict.fromkeys(_comparisons(entries)):
        pair = credits[after], credits[before]
        parts = [_part("", range(len(groups)), *pair, groups)]
        for subject in dict.fromkeys(filter(None, subjects)):
            rows = [i for i, own in enumerate(subjects) if own == subject]
            parts.append(_part(subject, rows, *pair, groups))
        found.append({"kind": kind, "of": after, "versus": before, "parts": parts})
    return found


def _part(
    label: str,
    rows: Sequence[int],
    after: Sequence[float],
    before: Sequence[float],
    groups: Sequence[int],
) -> dict[str, Any]:
    a, b = [after[i] for i in rows], [before[i] for i in rows]
    centre, low, high = difference(a, b, [groups[i] for i in rows])
    p_value = mcnemar([x == 1 for x in a], [x == 1 for x in b])
    part = {"gain": centre, "low": low, "high": high, "p": p_value, "n": len(rows)}
    return {"subject": label} | part


def _comparisons(entries: Sequence[Entry]) -> Iterator[tuple[str, int, int]]:
    """(kind, index of the run with it, index of the run without it)."""
    names = {entry.name: index for index, entry in enumerate(entries)}
    for index, entry in enumerate(entries):
        for kind, endings in (("kowiki", WIKI), ("retrieval", RETRIEVAL)):
            for ending in endings:
                plain = names.get(entry.name.removesuffix(ending))
                if entry.name.endswith(ending) and plain is not None:
                    yield kind, index, plain
        if (plain := names.get(f"{entry.name}{WITHOUT}")) is not None:
            yield "retrieval", index, plain
        for other, against in enumerate(entries):
            kind = _kind(entry, against)
            if kind and other != index:
                yield kind, index, other


def _kind(entry: Entry, against: Entry) -> str:
    """What `entry` has and `against`, of the same weights, has not; blank for anything else."""
    if entry.config.get("weights") != against.config.get("weights"):
        return ""
    tuned = (entry.kind == "tuned", against.kind == "tuned")
    if tuned == (True, False):
        return "tuning"
    if tuned == (True, True) and _wiki(entry) and not _wiki(against):
        return "kowiki"
    if tuned == (False, False) and _retrieves(entry) and not _retrieves(against):
        return "retrieval"
    return ""


def _wiki(entry: Entry) -> bool:
    return bool(((entry.config.get("recipe") or {}).get("data") or {}).get("kowiki"))


def _retrieves(entry: Entry) -> bool:
    return bool(entry.config.get("retrieve"))
