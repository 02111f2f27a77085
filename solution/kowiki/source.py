"""Where pages come from: what kind of source it is, and its parts, read one by one."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

from solution.core import UserError, fingerprint, log
from solution.kowiki.dump import read_dump, read_head
from solution.kowiki.lines import read_extracted, read_json_lines
from solution.kowiki.pages import Page
from solution.kowiki.rows import read_hub, read_parquet, row_groups, rows_of_hub

Kind = Literal["dump", "extracted", "json", "parquet", "hub"]

# What one part, and so one shard, holds: what a killed build repeats at most.
PART_BYTES = {"dump": 32 << 20, "bz2": 8 << 20, "rows": 32 << 20, "lines": 32 << 20}
HUB_ROWS = 20_000
EXPECTED = (
    "Expected a MediaWiki dump (.xml, .xml.bz2), WikiExtractor's output (a folder or file with "
    "<doc> or JSON lines, also .gz), a .parquet file or folder with id, title and text, or a "
    "hub data set such as wikimedia/wikipedia:20231101.ko."
)
_HUB = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*(?::[\w.-]+)?")
_DATE = re.compile(r"(?<!\d)((?:19|20)\d\d)-?([01]\d)-?([0-3]\d)(?!\d)")


class Part(NamedTuple):
    """A share of the source that makes one shard: bytes, row groups or rows start to stop."""

    kind: Kind
    paths: tuple[str, ...]
    start: int
    stop: int
    size: int
    """Its bytes in the source, for the progress."""


class Source(NamedTuple):
    """A source that was looked at: its parts, and what the manifest says of it."""

    parts: list[Part]
    description: dict[str, Any]
    snapshot: str | None
    """The date in its name, YYYY-MM-DD."""


def open_source(source: str) -> Source:
    """Find out what `source` is and share it out in parts; nothing is read but its heads.

    Raises UserError where it is nothing that can be read, saying what is expected.
    """
    path = Path(source).expanduser()
    found = _DATE.search(path.name) or _DATE.search(source)
    snapshot = "-".join(found.groups()) if found else None
    if not path.exists():
        if _HUB.fullmatch(source) and not source.endswith((".xml", ".bz2", ".parquet", ".gz")):
            rows, identity = rows_of_hub(source)
            parts = [
                Part("hub", (source,), start, min(start + HUB_ROWS, rows), HUB_ROWS << 11)
                for start in range(0, rows, HUB_ROWS)
            ]
            return Source(parts, {"name": source, "rows": rows, "identity": identity}, snapshot)
        raise UserError(f"{source}: no such file or folder. {EXPECTED}")
    files = _files(path)
    parts = [part for kind, group in _groups(files) for part in _parts(kind, group)]
    described = {
        "name": path.resolve().name,
        "bytes": sum(file.stat().st_size for file in files),
        "identity": _identity(path, files),
    }
    return Source(parts, described, snapshot)


def read_part(part: Part, counts: Counter[str]) -> Iterator[Page]:
    """The pages of one part; what can't be read is counted by reason."""
    if part.kind == "hub":
        yield from read_hub(part.paths[0], part.start, part.stop)
        return
    for name in part.paths:
        path = Path(name)
        if part.kind == "dump":
            yield from read_dump(path, part.start, part.stop, counts)
        elif part.kind == "parquet":
            yield from read_parquet(path, part.start, part.stop)
        elif part.kind == "json":
            yield from read_json_lines(path, counts)
        else:
            yield from read_extracted(path, counts)


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    files = sorted(
        file
        for file in path.rglob("*")
        if file.is_file() and not any(p.startswith(".") for p in file.relative_to(path).parts)
    )
    if not files:
        raise UserError(f"{path}: an empty folder. {EXPECTED}")
    return files


def _groups(files: list[Path]) -> Iterator[tuple[Kind, list[Path]]]:
    """Neighbouring files of one kind; text files together up to the size of a part."""
    group: list[Path] = []
    last: Kind | None = None
    size = 0
    for file in files:
        kind = _kind(file)
        alone = kind in ("dump", "parquet")
        if last is not None and (kind != last or alone or size > PART_BYTES["lines"]):
            yield last, group
            group, size = [], 0
        group.append(file)
        last, size = kind, size + file.stat().st_size
    if last is not None:
        yield last, group


def _kind(path: Path) -> Kind:
    name = path.name.lower()
    if name.endswith((".xml", ".xml.bz2")):
        _check_dump(path)
        return "dump"
    if name.endswith(".parquet"):
        return "parquet"
    start = read_head(path, 4096).lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith(b"<doc "):
        return "extracted"
    if start.startswith(b"{"):
        return "json"
    raise UserError(f"{path}: not a wiki in a known form. {EXPECTED}")


def _check_dump(path: Path) -> None:
    head = read_head(path, 1 << 16)
    if head and b"<mediawiki" not in head and b"<page>" not in head:
        raise UserError(f"{path}: no MediaWiki dump: no <mediawiki> at its start. {EXPECTED}")
    if b"<!ENTITY" in head or b"<!DOCTYPE" in head:
        log(
            f"{path.name}: declares XML entities, which a MediaWiki dump never does; they are "
            "not expanded."
        )


def _parts(kind: Kind, files: list[Path]) -> Iterator[Part]:
    names = tuple(str(file) for file in files)
    size = sum(file.stat().st_size for file in files)
    if kind == "dump":
        step = PART_BYTES["bz2" if names[0].lower().endswith(".bz2") else "dump"]
        for start in range(0, size, step):
            stop = min(start + step, size)
            yield Part(kind, names, start, stop, stop - start)
    elif kind == "parquet":
        for start, stop, share in row_groups(files[0], PART_BYTES["rows"]):
            yield Part(kind, names, start, stop, share)
    else:
        yield Part(kind, names, 0, size, size)


def _identity(path: Path, files: list[Path]) -> str:
    """One file's SHA-1, which Wikimedia publishes with its dumps, or that of names and sums."""
    if path.is_file():
        return f"sha1:{_sha1(path)}"
    return fingerprint([[str(file.relative_to(path)), _sha1(file)] for file in files])


def _sha1(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha1").hexdigest()
