"""JSON lines that grow by one whole line at a time and outlive a kill."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from solution.core.files import atomic_write


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """The whole lines of an interrupted run; what a kill cut short is taken out of the file.

    So the next line appended stands by itself. [] where there is no file.
    """
    if not path.is_file():
        return []
    rows = []
    # Bytes: a cut may fall inside a character, and text has other line ends inside its strings.
    for line in path.read_bytes().splitlines(keepends=True):
        try:
            rows.append(json.loads(line if line.endswith(b"\n") else b""))
        except ValueError:
            continue
    write_jsonl(path, rows)
    return rows


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """The rows as JSON lines, all of them or none."""
    with atomic_write(path) as part:
        part.write_text("".join(map(json_line, rows)), encoding="utf-8")


def json_line(row: dict[str, Any]) -> str:
    """A row as a line of its own, Hangul as it is."""
    return json.dumps(row, ensure_ascii=False) + "\n"
