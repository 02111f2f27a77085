"""`report`: read runs, compare them, and write one self-contained HTML page."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from solution import __version__
from solution.core import UserError, atomic_write
from solution.report.board import boards
from solution.report.model_info import training_info
from solution.report.published import candidates, kobest
from solution.report.runs import failures, find_runs, read_runs

OUT = Path("runs") / "report.html"
HARNESS = Path("runs") / "harness"
ASSETS = Path(__file__).parent / "assets"
SCRIPTS = ("dom.js", "charts.js", "tables.js", "browser.js", "main.js")


def report(named: Sequence[Path], out: Path | None, memory_limit: float) -> str:
    """Write one HTML page of these runs (all of runs/ if none is named) and describe it.

    `named` are run folders, folders of them, and result files of lm-evaluation-harness (.json).
    `memory_limit` in GiB is drawn into the memory plot. Raises UserError if nothing can be
    shown, or a named run cannot be read.
    """
    missing = [path for path in named if not path.exists()]
    if missing:
        raise UserError(f"{missing[0]}: not found. Give a folder under runs/.")
    path = out or OUT
    if path.is_dir():
        raise UserError(f"{path}: is a folder. Give --out a file in it.")
    results = [p for p in named if p.suffix == ".json"]
    folders = find_runs([p for p in named if p.suffix != ".json"])
    runs = read_runs(folders, strict=bool(named))
    found = boards(runs, failures(folders))
    data = {
        "version": __version__,
        "memory_limit": memory_limit,
        "boards": found,
        "tunings": [
            training_info(run)
            for run in runs
            if run.kind == "tuned" and "training" in run.metrics
        ],
        "candidates": candidates(runs),
        "kobest": kobest(results if named else sorted(HARNESS.rglob("results*.json"))),
    }
    with atomic_write(path) as partial:
        partial.write_text(render(data), encoding="utf-8")
    exams, asked = len(found), sum(len(board["questions"]) for board in found)
    return (
        f"{path}: {len(runs)} runs on {exams} exam{'s' * (exams > 1)}, {asked} questions, "
        f"{path.stat().st_size / 2**20:.1f} MiB. Open it in any browser."
    )


def render(data: dict[str, Any]) -> str:
    """Return the HTML of a report.

    The data is gzipped and base64-encoded, so none of its text is in the HTML. A Content
    Security Policy allows these scripts and this style only, and no request.
    """
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    packed = gzip.compress(text.encode("utf-8", "surrogatepass"), compresslevel=9, mtime=0)
    labels = json.dumps(json.loads(_asset("labels.json")), ensure_ascii=False)
    own = "".join(_asset(name) for name in SCRIPTS)
    script = f'"use strict";\n(() => {{\nconst LABELS = {labels};\n{own}}})();\n'
    style, library = _asset("style.css"), _asset("vendor/echarts.js")
    parts = {
        "POLICY": f"default-src 'none'; img-src data:; style-src {_digest(style)}; "
        f"script-src {_digest(library)} {_digest(script)}; base-uri 'none'; form-action 'none'",
        "STYLE": style,
        "LIBRARY": library,
        "SCRIPT": script,
        "DATA": base64.b64encode(packed).decode("ascii"),
    }
    head, *rest = _asset("page.html").split("{{")
    return head + "".join(
        parts[name] + text for name, _, text in (piece.partition("}}") for piece in rest)
    )


def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
