"""Predictions on disk: one parquet file with its provenance in the metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from solution.core import UserError, atomic_write
from solution.scoring.scorer import ChoiceScores

COLUMNS = ("id", "probability", "answer", "margin", "log_likelihood", "by_order", "label_mass")


def write_predictions(
    path: Path, scored: Sequence[ChoiceScores], produced_by: Mapping[str, Any]
) -> None:
    """Write one row per question; `produced_by` is stored as JSON in the schema's metadata."""
    import pyarrow as pa
    from pyarrow import parquet

    provenance = json.dumps(produced_by, ensure_ascii=False, sort_keys=True, default=str)
    numbers = pa.list_(pa.float64())
    orders = pa.list_(pa.int64())
    types = (pa.string(), numbers, pa.int64(), pa.float64(), numbers, orders, pa.float64())
    schema = pa.schema(
        list(zip(COLUMNS, types, strict=True)), metadata={"produced_by": provenance.encode()}
    )
    rows = [{name: getattr(one, name) for name in COLUMNS} for one in scored]
    with atomic_write(path) as partial:
        parquet.write_table(pa.Table.from_pylist(rows, schema=schema), partial)


def read_predictions(path: Path) -> list[ChoiceScores]:
    """Read the rows of a predictions file, in order; raises UserError where it is not one."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        rows = parquet.read_table(path).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path}: cannot be read as predictions: {error}") from error
    try:
        return [_scored(row) for row in rows]
    except (KeyError, TypeError) as error:
        columns = ", ".join(COLUMNS)
        raise UserError(
            f"{path}: not a predictions file; expected the columns {columns}."
        ) from error


def read_produced_by(path: Path) -> dict[str, Any]:
    """Read the provenance that `write_predictions` stored; UserError where there is none."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return dict(json.loads((parquet.read_schema(path).metadata or {})[b"produced_by"]))
    except (OSError, pa.ArrowException, KeyError, ValueError, TypeError) as error:
        raise UserError(f"{path}: no provenance in the metadata: {error}") from error


def _scored(row: dict[str, Any]) -> ChoiceScores:
    return ChoiceScores(
        id=row["id"],
        log_likelihood=tuple(row["log_likelihood"]),
        probability=tuple(row["probability"]),
        answer=row["answer"],
        margin=row["margin"],
        by_order=tuple(row.get("by_order") or ()),
        label_mass=row.get("label_mass"),
    )
