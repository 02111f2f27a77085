"""Files as tables (CSV, TSV, JSON, JSON lines), with the row and line numbers of messages."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from solution.core import ErrorCollector, UserError

SEPARATED = {
    ";": "semicolon-separated",
    "\t": "tab-separated",
    "|": "separated by |",
}
OTHER_FORMATS = {
    b"PK\x03\x04": "an Excel workbook or a zip archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x1f\x8b": "gzip data",
    b"PAR1": "a parquet file (pandas.read_parquet(FILE).to_csv(NEW, index=False))",
    b"ARROW1": "an Arrow file (datasets.Dataset.from_file(FILE).to_csv(NEW))",
    b"version https://git-lfs": "a pointer of Git LFS instead of the file (git lfs pull)",
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
    """A file of rows: columns and rows in order, SHA-256 of its bytes."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    sha256: str
    byte_order_mark: bool = False
    format: str = "CSV"
    blank_rows: int = 0
    """Rows without any text, as Excel leaves them; they are skipped."""


def read_table(path: Path, problems: ErrorCollector, required: Sequence[str] = ()) -> Table:
    """Read a table; rows of a wrong length are added to `problems`.

    Fields may be separated by commas, semicolons or tabs; JSON is a list of objects or one
    object a line, whose nested values become JSON text. Raises UserError for no such file, no
    text in UTF-8, broken quoting or a missing column.
    """
    raw = _read_bytes(path)
    text = _decode(path, raw)
    if text.lstrip()[:1] in ("[", "{"):
        kind, columns, records = _json_records(path, text)
    else:
        text, separator = _separator(text)
        kind = "CSV" if separator == "," else SEPARATED[separator]
        records = _records(path, text, separator)
        columns = tuple(name.strip() for name in next(records, (0, [""]))[1])
    _check_columns(path, columns, required)
    rows: list[Row] = []
    blank = 0
    for number, (line, fields) in enumerate(records, start=1):
        row = Row(number, line, dict(zip(columns, fields, strict=False)))
        if not any(map(str.strip, fields)):
            blank += 1
        elif tuple(fields) == columns:
            problems.add(f"{row}: repeats the header; were two files joined?")
        elif len(fields) == len(columns):
            rows.append(row)
        else:
            problems.add(
                f"{row}: expected {len(columns)} fields ({', '.join(columns)}), found "
                f"{len(fields)}; check its separators and quotation marks"
            )
    digest, mark = hashlib.sha256(raw).hexdigest(), raw.startswith(b"\xef\xbb\xbf")
    return Table(path, columns, tuple(rows), digest, mark, kind, blank)


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


def _decode(path: Path, raw: bytes) -> str:
    try:
        return raw.decode("utf-8").lstrip("\ufeff")  # some programs write two marks
    except UnicodeDecodeError as error:
        found = (
            f"byte 0x{raw[error.start]:02x} on line {_line_of(raw, error.start)} (binary or "
        )
        found += "damaged). Save it as CSV UTF-8."
        with suppress(UnicodeDecodeError):
            raw.decode("cp949")
            found = "CP949 (EUC-KR), as Excel saves Korean text. Save it as 'CSV UTF-8', or: "
            found += "iconv -f CP949 -t UTF-8 OLD.csv > NEW.csv"
        raise UserError(f"{path}: expected UTF-8, found {found}") from error


def _line_of(raw: bytes, position: int) -> int:
    return raw.count(b"\n", 0, position) + 1


def _separator(text: str) -> tuple[str, str]:
    """Return the text without Excel's `sep=` line, and what separates fields in its header."""
    if found := re.match(r"sep=([,;\t])\r?\n", text):
        return text[found.end() :], found[1]
    header = re.split(r"[\r\n]", text.lstrip(), maxsplit=1)[0]
    return text, max((",", *SEPARATED), key=header.count)


def _json_records(
    path: Path, text: str
) -> tuple[str, tuple[str, ...], Iterator[tuple[int, list[str]]]]:
    """Return the format, the columns of all rows, and each row with its line (or number)."""
    try:
        value = json.loads(text)
        kind, found = "JSON", list(enumerate(_json_rows(path, value), start=1))
    except ValueError:
        kind, found = "JSON lines", list(_json_lines(path, text))
    for line, row in found:
        if not isinstance(row, dict):
            raise UserError(
                f"{path}: {kind}, entry {line}: expected an object with the fields of a row, "
                f"found a {type(row).__name__}."
            )
    columns = tuple(dict.fromkeys(str(name) for _, row in found for name in row))
    rows = ((line, [_as_text(row.get(name)) for name in columns]) for line, row in found)
    return kind, columns, rows


def _json_rows(path: Path, value: Any) -> list[Any]:
    """Return the rows of a JSON value; refuse tables by column and rows inside a key."""
    if not isinstance(value, dict):
        return value if isinstance(value, list) else [value]
    inner = [key for key, rows in value.items() if isinstance(rows, list) and rows[1:]]
    if len(inner) == 1 and all(isinstance(row, dict) for row in value[inner[0]]):
        raise UserError(
            f"{path}: the rows are inside the key {inner[0]!r}. Save that list alone as JSON."
        )
    if all(isinstance(column, dict) and "0" in column for column in value.values()):
        raise UserError(
            f"{path}: JSON by columns, as pandas' to_json() writes it. Save it by rows: "
            "to_json(FILE, orient='records', force_ascii=False)."
        )
    return [value]


def _json_lines(path: Path, text: str) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line)
        except ValueError as error:
            raise UserError(
                f"{path}: line {number} is not valid JSON ({error}). Expected a JSON list of "
                "objects, or one object on each line."
            ) from error


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _records(path: Path, text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line each record begins on and its fields; skip blank lines."""
    csv.field_size_limit(2**31 - 1)
    # newline=None: CRLF and lone CR, in fields and between them, all become LF.
    lines = io.StringIO(text, newline=None)
    reader = csv.reader(lines, strict=True, delimiter=separator)
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
