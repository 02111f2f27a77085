"""Which differences between models are significant: groups, and effects of one change."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from solution.explore import clustered_error, mcnemar
from solution.report.runs import WITHOUT, RunResult

LEVEL, CONFIDENCE = 0.05, 0.95
SUFFIXES = {
    "kowiki": ("-wiki", "-kowiki", "+wiki", "+kowiki"),
    "retrieval": ("-with-passages", "-retrieval", "+retrieval", "-rag", "+rag"),
}


def significance_groups(count: int, p_values: Mapping[tuple[int, int], float]) -> list[str]:
    """Return a compact letter display: models that share a letter do not differ significantly.

    `p_values` has every pair of models 0..count-1, adjusted. Insert and absorb, after Piepho
    2004, "An algorithm for a letter-based representation of all-pairwise comparisons". The
    first model gets `a`.
    """
    groups = [set(range(count))]
    for (first, second), p_value in sorted(p_values.items()):
        if p_value >= LEVEL:
            continue
        split: list[set[int]] = []
        for group in groups:
            pair = first in group and second in group
            split += [group - {first}, group - {second}] if pair else [group]
        groups = []
        for group in sorted(split, key=len, reverse=True):
            if group and not any(group <= other for other in groups):
                groups.append(group)
    groups.sort(key=sorted)
    names = [chr(ord("a") + n) if n < 26 else f"({n})" for n in range(len(groups))]
    return [
        "".join(name for name, group in zip(names, groups, strict=True) if model in group)
        for model in range(count)
    ]


def paired_difference(
    after: Sequence[float], before: Sequence[float], groups: Sequence[int]
) -> tuple[float, float, float]:
    """Return the mean of after - before and its 95 % interval, clustered by group.

    Student's t on groups - 1; (-1, 1) if there are fewer than two groups.
    """
    from scipy.stats import t

    gains = [a - b for a, b in zip(after, before, strict=True)]
    centre, count = math.fsum(gains) / len(gains), len(set(groups))
    if count < 2:
        return centre, -1.0, 1.0
    reach = float(t.ppf((1 + CONFIDENCE) / 2, count - 1)) * clustered_error(gains, groups)
    return centre, max(-1.0, centre - reach), min(1.0, centre + reach)


def effects(
    runs: Sequence[RunResult], groups: Sequence[int], subjects: Sequence[str]
) -> list[dict[str, Any]]:
    """Compare runs that differ by tuning, wiki or retrieval, over all questions and by subject.

    `kind` is tuning, kowiki or retrieval; `of` and `versus` are indices into `runs`.
    """
    parts = {"": list(range(len(groups)))}
    for row, subject in enumerate(subjects):
        if subject:
            parts.setdefault(subject, []).append(row)
    found = []
    for kind, after, before in dict.fromkeys(_comparisons(runs)):
        a, b = runs[after].correct, runs[before].correct
        rows = [
            {"subject": subject}
            | compare_paired([a[i] for i in own], [b[i] for i in own], [groups[i] for i in own])
            for subject, own in parts.items()
        ]
        found.append({"kind": kind, "of": after, "versus": before, "parts": rows})
    return found


def compare_paired(
    after: Sequence[bool], before: Sequence[bool], groups: Sequence[int]
) -> dict[str, float]:
    """Return `paired_difference` as gain, low and high, McNemar's p and the number n."""
    gain, low, high = paired_difference(after, before, groups)
    return {
        "gain": gain,
        "low": low,
        "high": high,
        "p": mcnemar(after, before),
        "n": len(after),
    }


def _comparisons(runs: Sequence[RunResult]) -> Iterator[tuple[str, int, int]]:
    """Yield (kind, index of the run with the change, index of the run without it)."""
    names = {run.name: index for index, run in enumerate(runs)}
    for index, run in enumerate(runs):
        for kind, suffixes in SUFFIXES.items():
            for suffix in suffixes:
                plain = names.get(run.name.removesuffix(suffix))
                if run.name.endswith(suffix) and plain is not None:
                    yield kind, index, plain
        if (plain := names.get(f"{run.name}{WITHOUT}")) is not None:
            yield "retrieval", index, plain
        for other, baseline in enumerate(runs):
            if other != index and (kind := _change(run, baseline)):
                yield kind, index, other


def _change(run: RunResult, baseline: RunResult) -> str:
    """Return what `run` adds to a baseline of the same weights; empty for anything else."""
    if run.config.get("weights") != baseline.config.get("weights"):
        return ""
    tuned = (run.kind == "tuned", baseline.kind == "tuned")
    wiki = [
        bool(((one.config.get("recipe") or {}).get("data") or {}).get("kowiki"))
        for one in (run, baseline)
    ]
    retrieves = [bool(one.config.get("retrieve")) for one in (run, baseline)]
    if tuned == (True, False):
        return "tuning"
    if tuned == (True, True) and wiki == [True, False]:
        return "kowiki"
    if tuned == (False, False) and retrieves == [True, False]:
        return "retrieval"
    return ""
