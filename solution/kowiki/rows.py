"""Pages of tables with `id`, `title` and `text`: parquet files and data sets of the hub."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from solution.core import UserError
from solution.kowiki.pages import Page

_COLUMNS = ("id", "title", "text")


def row_groups(path: Path, size: int) -> Iterator[tuple[int, int, int]]:
    """Ranges of row groups of about `size` bytes each, with their bytes.

    Raises UserError where the file is no parquet file or lacks a column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise UserError(f"{path}: not a readable parquet file: {error}") from error
    with table:
        _check_columns(str(path), table.schema_arrow.names)
        start = share = 0
        for number in range(table.num_row_groups):
            share += table.metadata.row_group(number).total_byte_size
            if share >= size or number + 1 == table.num_row_groups:
                yield start, number + 1, share
                start, share = number + 1, 0


def read_parquet(path: Path, start: int, stop: int) -> Iterator[Page]:
    """The pages of row groups `start` to `stop`."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as table:
        for batch in table.iter_batches(
            batch_size=256, row_groups=range(start, stop), columns=list(_COLUMNS)
        ):
            for row in batch.to_pylist():
                yield _page(row)


def rows_of_hub(name: str) -> tuple[int, str]:
    """How many rows the data set `owner/name[:config]` has, and what tells its content.

    It is downloaded to the hub's cache. Raises UserError where that fails.
    """
    table = _hub(name)
    _check_columns(name, table.column_names)
    return len(table), str(table._fingerprint)


def read_hub(name: str, start: int, stop: int) -> Iterator[Page]:
    """The pages of rows `start` to `stop` of the data set's split `train`."""
    for row in _hub(name).select_columns(list(_COLUMNS)).select(range(start, stop)):
        yield _page(row)


def _hub(name: str) -> Any:
    from datasets import load_dataset

    repository, _, config = name.partition(":")
    try:
        return load_dataset(repository, config or None, split="train")
    except Exception as error:  # the hub's many: offline, unknown, gated, no such config
        raise UserError(
            f"{name}: the data set can't be had from the hub: {type(error).__name__}: {error}. "
            "Check its name and config (owner/name:config) and the network, or download a dump "
            "and give the file."
        ) from error


def _check_columns(place: str, names: list[str]) -> None:
    missing = [column for column in _COLUMNS if column not in names]
    if missing:
        raise UserError(
            f"{place}: column {', '.join(missing)} missing among {', '.join(names)}. "
            "A wiki table has id, title and text."
        )


def _page(row: dict[str, Any]) -> Page:
    return Page(str(row["id"]), str(row["title"] or "").strip(), row["text"] or "")
