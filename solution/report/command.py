"""The command: read runs, compare them, write the page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from solution import __version__
from solution.core import UserError, atomic_write
from solution.report.board import boards
from solution.report.facts import tuning_of
from solution.report.page import page
from solution.report.published import candidates, kobest
from solution.report.runs import failures, find_runs, read_entries

OUT = Path("runs") / "report.html"
HARNESS = Path("runs") / "harness"


def report(named: Sequence[Path], out: Path | None, memory_limit: float) -> str:
    """Write one HTML page of these runs (all of runs/ where none is named) and say where it is.

    `named` are folders of runs, or of folders of runs, and results of lm-evaluation-harness
    (.json). `memory_limit` is drawn into the plot of memory, in GiB. Raises UserError where
    nothing can be shown, or where a run that was named cannot be read.
    """
    missing = [path for path in named if not path.exists()]
    if missing:
        raise UserError(f"{missing[0]}: not there. Give a folder under runs/.")
    place = out or OUT
    if place.is_dir():
        raise UserError(f"{place}: is a folder. Give --out a file in it.")
    results = [path for path in named if path.suffix == ".json"]
    if not named:
        results = sorted(HARNESS.rglob("results*.json"))
    folders = find_runs([path for path in named if path.suffix != ".json"])
    entries = read_entries(folders, strict=bool(named))
    found = boards(entries, failures(folders))
    data = {
        "version": __version__,
        "memory_limit": memory_limit,
        "boards": found,
        "tunings": [
            tuning_of(e) for e in entries if e.kind == "tuned" and "training" in e.metrics
        ],
        "candidates": candidates(entries),
        "kobest": kobest(results),
    }
    with atomic_write(place) as partial:
        partial.write_text(page(data), encoding="utf-8")
    asked = sum(len(board["questions"]) for board in found)
    size = place.stat().st_size / 2**20
    return (
        f"{place}: {len(entries)} runs on {len(found)} exam{'s' * (len(found) > 1)}, "
        f"{asked} questions, {size:.1f} MiB. Open it in any browser."
    )
