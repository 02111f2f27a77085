"""CSV files as tables: bytes to rows, with the row and line numbers that messages name."""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from solution.core import ErrorCollector, UserError

OTHER_FORMATS = {
    b"PK\x03\x04": "an Excel workbook or a zip archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x1f\x8b": "gzip data",
    b"PAR1": "a parquet file",
    b"%PDF": "a PDF",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}


@dataclass(frozen=True)
class Row:
    """One data row: its number (from 1), the line of the file it begins on, its fields."""

    number: int
    line: int
    fields: dict[str, str]

    def __str__(self) -> str:
        return f"row {self.number} (line {self.line})"


@dataclass(frozen=True)
class Table:
    """A CSV file: columns and rows in order, SHA-256 and encoding of its bytes."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    sha256: str
    encoding: str
    """`utf-8`, `utf-8-sig` (with a byte order mark) or `cp949`."""


def read_table(path: Path, problems: ErrorCollector, required: Sequence[str] = ()) -> Table:
    """Read a comma-separated file; rows of a wrong length are added to `problems`.

    CP949 is decoded; a caller that does not accept it calls `refuse_cp949`.

    Raises:
        UserError: No such file, not CSV text, broken quoting or a missing column.

    """
    raw = _read_bytes(path)
    text, encoding = _decode(path, raw)
    records = _records(path, text)
    _, header = next(records, (0, []))
    columns = tuple(name.strip() for name in header)
    _check_columns(path, columns, required)
    rows: list[Row] = []
    for number, (line, fields) in enumerate(records, start=1):
        row = Row(number, line, dict(zip(columns, fields, strict=False)))
        if len(fields) == len(columns):
            rows.append(row)
        else:
            problems.add(
                f"{row}: expected {len(columns)} fields ({', '.join(columns)}), found "
                f"{len(fields)}; check its commas and quotation marks"
            )
    return Table(path, columns, tuple(rows), hashlib.sha256(raw).hexdigest(), encoding)


def refuse_cp949(table: Table) -> None:
    """Raise UserError for a table that was not in UTF-8."""
    if table.encoding == "cp949":
        raise UserError(
            f"{table.path}: expected UTF-8, found CP949 (EUC-KR), as Excel saves Korean text. "
            "Save it as 'CSV UTF-8', or: iconv -f CP949 -t UTF-8 OLD.csv > NEW.csv"
        )


def _read_bytes(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}). Give the path of a CSV file."
        ) from error
    if not raw.strip():
        raise UserError(f"{path}: the file is empty. Give a CSV file with a header and rows.")
    found = [what for start, what in OTHER_FORMATS.items() if raw.startswith(start)]
    if not found and b"\0" in raw:
        found = [f"a NUL byte on line {_line_of(raw, raw.index(0))} (a binary or damaged file)"]
    if found:
        raise UserError(f"{path}: expected CSV text, found {found[0]}. Save it as CSV UTF-8.")
    return raw


def _decode(path: Path, raw: bytes) -> tuple[str, str]:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        try:
            return raw.decode("cp949"), "cp949"
        except UnicodeDecodeError:
            raise UserError(
                f"{path}: expected UTF-8 text, found byte 0x{raw[error.start]:02x} on line "
                f"{_line_of(raw, error.start)} (binary or damaged). Save it as CSV UTF-8."
            ) from error
    return text, "utf-8-sig" if raw.startswith(b"\xef\xbb\xbf") else "utf-8"


def _line_of(raw: bytes, position: int) -> int:
    return raw.count(b"\n", 0, position) + 1


def _records(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line each record begins on and its fields; skip blank lines."""
    csv.field_size_limit(2**31 - 1)
    # newline=None: CRLF and lone CR, in fields and between them, all become LF.
    reader = csv.reader(io.StringIO(text, newline=None), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise UserError(
                f"{path}: the record that begins on line {line} is not valid CSV ({error}): "
                'fix its quotation marks (a " inside a field is written "").'
            ) from error
        if fields:
            yield line, fields


def _check_columns(path: Path, columns: tuple[str, ...], required: Sequence[str]) -> None:
    problems = ErrorCollector(str(path))
    for name in required:
        if name not in columns:
            shown = ", ".join(columns)[:200]
            problems.add(f"line 1: column {name!r} is missing; found: {shown}")
    for name, count in Counter(columns).items():
        if count > 1:
            problems.add(f"line 1: duplicate column {name!r}")
    problems.raise_if_any("The first line must name the columns, separated by commas.")
