"""Where texts come from: passages retrieved for a question, and a question's own origin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from solution.core import UserError

RETRIEVED, PROVENANCE = "retrieved.parquet", "provenance.parquet"
Retrieved = dict[str, list[tuple[str, str, float | None]]]


def read_retrieved(folder: Path) -> Retrieved:
    """Question id to (title, text, score) of what was put before it; empty where nothing was.

    Raises UserError where the file cannot be read or lacks a column.
    """
    found: Retrieved = {}
    for row in _rows(folder / RETRIEVED, ("id", "title", "text")):
        passage = str(row["title"]), str(row["text"]), row.get("score")
        found.setdefault(str(row["id"]), []).append(passage)
    return found


def read_provenance(folder: Path) -> dict[str, dict[str, Any]]:
    """Question id to what `kowiki questions` noted of it; empty where there is no such file.

    Raises UserError where the file cannot be read or lacks the id.
    """
    return {
        str(row.pop("id")): {name: value for name, value in row.items() if value is not None}
        for row in _rows(folder / PROVENANCE, ("id",))
        if not row.get("removed")
    }


def _rows(path: Path, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    missing = [name for name in columns if name not in table.column_names]
    if missing:
        raise UserError(f"{path}: lacks the column {missing[0]}.")
    return list(table.to_pylist())
