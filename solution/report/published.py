"""The first study's tables: what it published, for the page to set measured rows beside."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from solution.core import UserError
from solution.report.runs import Entry

HERE = Path(__file__).parent / "published_scores"
PREFIX = "kobest_"


def candidates(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """The ten candidates with their published scores, and the index of the run of each."""
    rows: list[dict[str, Any]] = []
    for row in _read(HERE / "candidates.csv"):
        sizes = int(row["public_questions"]), int(row["private_questions"])
        scores = float(row["public"]), float(row["private"])
        measured = [
            i for i, e in enumerate(entries) if row["model"] in (e.name, e.reference["model"])
        ]
        value: dict[str, Any] = {
            "model": row["model"],
            "public": scores[0],
            "private": scores[1],
            "questions": list(sizes),
            "source": row["source"],
            "runs": [str(entries[i].folder) for i in measured],
            **known(row["model"]),
        }
        rows.append(value)
    rows.sort(key=lambda row: -row["public"])
    for value in rows:
        value["z"] = round(_z(rows[0], value), 2)
    return rows


@cache
def known(model: str) -> dict[str, Any]:
    """`parameters` and `licence` of one of the ten, as its page on the hub says; else nothing.

    Quantised copies are counted like the weights that they were made of.
    """
    for row in _read(HERE / "candidates.csv"):
        if row["model"] == model:
            size = round(float(row["billions"]) * 1e9) if row["billions"] else None
            found = {"parameters": size, "licence": row["licence"]}
            return {name: value for name, value in found.items() if value}
    return {}


def kobest(results: Sequence[Path]) -> dict[str, Any]:
    """KoBEST macro-F1 by model, task and number of shots: published, and measured in `results`.

    `results` are files that lm-evaluation-harness wrote. Raises UserError where one is not.
    """
    published: dict[str, dict[str, float]] = {}
    sources: dict[str, str] = {}
    for row in _read(HERE / "kobest.csv"):
        cells = published.setdefault(row["model"], {})
        cells[f"{row['task']}/{row['shots']}"] = float(row["f1"])
        sources[row["model"]] = row["source"]
    rows = [
        {"model": model, "measured": False, "source": sources[model], "cells": cells}
        for model, cells in published.items()
    ]
    measured: dict[str, dict[str, float]] = {}
    for path in results:
        model, cells = _harness(path)
        measured.setdefault(model, {}).update(cells)
    rows += [
        {"model": model, "measured": True, "source": "", "cells": cells}
        for model, cells in measured.items()
        if cells
    ]
    return {"tasks": ["copa", "hellaswag", "boolq", "sentineg"], "rows": rows}


def _z(first: dict[str, Any], second: dict[str, Any]) -> float:
    """How many standard errors two published scores lie apart, both halves taken together.

    Two independent shares (unpaired): the answers themselves were not published.
    """
    count = sum(first["questions"])
    shares = [
        sum(row[half] * size for half, size in zip(HALVES, row["questions"], strict=True))
        / sum(row["questions"])
        for row in (first, second)
    ]
    spread = math.sqrt(sum(share * (1 - share) / count for share in shares))
    return float((shares[0] - shares[1]) / spread)


HALVES = ("public", "private")


def _harness(path: Path) -> tuple[str, dict[str, float]]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        shots = value.get("n-shot", {})
        cells = {
            f"{task.removeprefix(PREFIX)}/{shots.get(task, 0)}": float(scores["f1,none"])
            for task, scores in value["results"].items()
            if task.startswith(PREFIX) and "f1,none" in scores
        }
        return str(value.get("model_name") or path.parent.name), cells
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path}: expected the results file of lm-evaluation-harness."
        ) from error


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))
