"""The page: one HTML file that holds its style, its code and its data, and asks for nothing."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

ASSETS = Path(__file__).parent / "assets"
STYLES = ("style.css", "tables.css", "print.css")
SCRIPTS = (
    "labels.js",
    "dom.js",
    "plot.js",
    "charts.js",
    "panels.js",
    "leaderboard.js",
    "study.js",
    "browser.js",
    "question.js",
    "main.js",
)


def page(data: dict[str, Any]) -> str:
    """The HTML of a report; `data` are plain values, any text in them is only ever shown.

    The data is compressed and in base64, so no text of a user's stands in the HTML itself. The
    browser is told to run this script and style only and to fetch nothing (a Content Security
    Policy with their digests).
    """
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    packed = gzip.compress(text.encode("utf-8", "surrogatepass"), compresslevel=9, mtime=0)
    style, script = _joined(STYLES), f'"use strict";\n(() => {{\n{_joined(SCRIPTS)}}})();\n'
    policy = (
        f"default-src 'none'; img-src data:; style-src {_digest(style)}; "
        f"script-src {_digest(script)}; base-uri 'none'; form-action 'none'"
    )
    frame = (ASSETS / "page.html").read_text(encoding="utf-8")
    parts = {
        "POLICY": policy,
        "STYLE": style,
        "SCRIPT": script,
        "DATA": base64.b64encode(packed).decode("ascii"),
    }
    for name, part in parts.items():
        frame = frame.replace(f"{{{{{name}}}}}", part, 1)
    return frame


def _joined(names: tuple[str, ...]) -> str:
    return "".join((ASSETS / name).read_text(encoding="utf-8") for name in names)


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
