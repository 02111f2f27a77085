"""Published results of the reference studies, to show next to measured ones."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from solution.core import UserError
from solution.report.runs import RunResult

SCORES = Path(__file__).parent / "published_scores"
PREFIX = "kobest_"


def candidates(runs: Sequence[RunResult]) -> list[dict[str, Any]]:
    """Return the ten candidates with their published scores, and the runs of each."""
    rows = [
        {
            "model": row["model"],
            "public": float(row["public"]),
            "private": float(row["private"]),
            "questions": [int(row["public_questions"]), int(row["private_questions"])],
            "source": row["source"],
            "runs": [
                str(r.folder) for r in runs if row["model"] in (r.name, r.reference["model"])
            ],
            **known(row["model"]),
        }
        for row in _read("candidates.csv")
    ]
    return sorted(rows, key=lambda row: -float(row["public"]))


@cache
def known(model: str) -> dict[str, Any]:
    """Return `parameters` and `licence` of one of the ten candidates, as its hub page has them.

    A quantised copy has the size of the original.
    """
    for row in _read("candidates.csv"):
        if row["model"] == model:
            size = round(float(row["billions"]) * 1e9) if row["billions"] else None
            found = {"parameters": size, "licence": row["licence"]}
            return {name: value for name, value in found.items() if value}
    return {}


def kobest(results: Sequence[Path]) -> dict[str, Any]:
    """Return KoBEST macro-F1 by model and task/shots: published, and measured in `results`.

    `results` are result files of lm-evaluation-harness; raises UserError if one is not.
    """
    published: dict[str, dict[str, float]] = {}
    for row in _read("kobest.csv"):
        cells = published.setdefault(row["model"], {})
        cells[f"{row['task']}/{row['shots']}"] = float(row["f1"])
    measured: dict[str, dict[str, float]] = {}
    for path in results:
        model, cells = _read_harness(path)
        measured.setdefault(model, {}).update(cells)
    rows = [
        {"model": model, "measured": table is measured, "cells": cells}
        for table in (published, measured)
        for model, cells in table.items()
        if cells
    ]
    return {"tasks": ["copa", "hellaswag", "boolq", "sentineg"], "rows": rows}


def _read_harness(path: Path) -> tuple[str, dict[str, float]]:
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
        raise UserError(f"{path}: expected a results file of lm-evaluation-harness.") from error


def _read(name: str) -> list[dict[str, str]]:
    with (SCORES / name).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))
