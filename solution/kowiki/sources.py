"""Pages of a wiki: MediaWiki dumps, JSON lines, parquet files and data sets of the hub."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple
from xml.etree.ElementTree import ParseError

from mwxml.element_iterator import ElementIterator
from mwxml.iteration.page import extract_namespace
from mwxml.iteration.site_info import SiteInfo

from solution.core import UserError, fingerprint, log

EXPECTED = (
    "Expected a MediaWiki dump (.xml), JSON lines with id, title and text (or those of "
    "CirrusSearch or Wikimedia Enterprise), all also as .gz, .bz2 or .zst, a .parquet file "
    "with id, title and text, a folder of such files, or a hub data set such as "
    "wikimedia/wikipedia:20231101.ko."
)
_COMPRESSED = (".gz", ".bz2", ".zst")
_HUB = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*(?::[\w.-]+)?")
_DATE = re.compile(r"(?<!\d)((?:19|20)\d\d)-?([01]\d)-?([0-3]\d)(?!\d)")
_BROKEN = (EOFError, OSError, zlib.error, ParseError)


class Page(NamedTuple):
    """One page as a source has it."""

    page_id: str
    title: str
    text: str
    namespace: int = 0
    redirect: bool = False
    model: str = ""
    """The content model, `wikitext` or another; '' for plain text."""
    date: str = ""
    """The day of its revision, YYYY-MM-DD, where the source has it."""


class Source(NamedTuple):
    """A source that was identified: its files, or a data set of the hub."""

    name: str
    files: tuple[Path, ...]
    size: int
    """Bytes of all files, or rows of the data set."""
    identity: str
    """A hash of the content."""
    snapshot: str | None
    """The date in the name, YYYY-MM-DD."""


def open_source(source: str) -> Source:
    """Identify `source`; of its files only the beginnings are parsed.

    Raises UserError for a source that cannot be read, with what is expected.
    """
    path = Path(source).expanduser()
    found = _DATE.search(path.name) or _DATE.search(source)
    snapshot = "-".join(found.groups()) if found else None
    if path.exists():
        files = _files(path)
        size = sum(file.stat().st_size for file in files)
        return Source(path.resolve().name, files, size, _identity(path, files), snapshot)
    if _HUB.fullmatch(source) and not source.endswith((".xml", ".parquet", *_COMPRESSED)):
        table = _hub(source)
        return Source(source, (), len(table), str(table._fingerprint), snapshot)
    raise UserError(f"{source}: no such file or folder. {EXPECTED}")


def read_pages(source: Source, counts: Counter[str]) -> Iterator[tuple[int, Page]]:
    """Yield how much of `source.size` was read, and the next page.

    Input that cannot be read is counted in `counts` by reason, and the rest is read.
    """
    if not source.files:
        yield from enumerate(map(_row_page, _hub(source.name)), 1)
    before = 0
    for path in source.files:
        size = path.stat().st_size
        with path.open("rb") as raw:
            if path.suffix == ".parquet":
                for share, page in _read_parquet(path):
                    yield before + int(share * size), page
            else:
                reader = _read_dump if _kind(path) == "dump" else _read_json
                for page in reader(_decompressed(path, raw), counts):
                    yield before + raw.tell(), page
        before += size


def _read_dump(stream: IO[bytes], counts: Counter[str]) -> Iterator[Page]:
    try:
        root = ElementIterator.from_file(stream)
        namespaces: dict[str, Any] = {}
        for element in root:
            if element.tag == "siteinfo":
                names = SiteInfo.from_element(element).namespaces or []
                namespaces = {one.name: one for one in names}
            elif element.tag == "page":
                yield _dump_page(element, namespaces)
            root.element.clear()  # otherwise it keeps an empty element for every page
    except _BROKEN as error:
        reason = "cut off" if isinstance(error, (EOFError, ParseError)) else "corrupt"
        counts[f"dump {reason}; the pages after that point are lost"] += 1


def _dump_page(element: ElementIterator, namespaces: dict[str, Any]) -> Page:
    """Read a `<page>` element with the main slot of its newest revision.

    mwxml.Page is not used: it drops the main slot of dumps that have others but no sha1.
    """
    fields = dict.fromkeys(("title", "ns", "id"), "")
    redirect, revisions = False, [("", "wikitext", "")]
    for child in element:
        if child.tag in fields:
            fields[child.tag] = (child.text or "").strip()
        elif child.tag == "redirect":
            redirect = True
        elif child.tag == "revision":
            revisions.append(_revision(child))
    # The last of the newest: a revision without a timestamp still beats none.
    date, model, text = max(reversed(revisions), key=lambda revision: revision[0])
    if fields["ns"]:
        namespace, title = int(fields["ns"]), fields["title"]
    else:
        namespace, title = extract_namespace(fields["title"], namespaces)
    return Page(fields["id"], title, text, namespace, redirect, model, date[:10])


def _revision(element: ElementIterator) -> tuple[str, str, str]:
    """Return timestamp, model and text; other slots are nested deeper and are skipped."""
    fields = {"timestamp": "", "model": "wikitext", "text": ""}
    for child in element:
        if child.tag in fields:
            fields[child.tag] = child.text or ""
    return fields["timestamp"], fields["model"], fields["text"]


def _read_json(stream: IO[bytes], counts: Counter[str]) -> Iterator[Page]:
    number = ""
    lines = iter(stream)
    while True:
        try:
            line = next(lines, b"")
        except _BROKEN:
            counts["compressed file cut off"] += 1
            return
        if not line:
            return
        try:
            row = json.loads(line)
            if "index" in row:  # CirrusSearch writes the id on a line of its own
                number = str(row["index"]["_id"])
            else:
                page = _json_page(row, number)
                "".join(page[:3]).encode()  # JSON can hold half of a surrogate pair
                yield page
        except (ValueError, KeyError, TypeError, AttributeError):
            counts["unreadable line"] += bool(line.strip())


def _json_page(row: dict[str, Any], number: str) -> Page:
    """Read a row of CirrusSearch, of Wikimedia Enterprise, or of id, title and text."""
    if "source_text" in row:
        date, space = str(row.get("timestamp", ""))[:10], int(row.get("namespace", 0))
        page_id, text = number or str(row["page_id"]), row["source_text"]
        return Page(page_id, row["title"], text, space, False, "wikitext", date)
    if "identifier" in row:
        space = int(row.get("namespace", {}).get("identifier", 0))
        date = str(row.get("date_modified", ""))[:10]
        if "article_body" in row:
            text, model = row["article_body"]["wikitext"], "wikitext"
        else:
            text, model = "\n".join(_parts(row["sections"])), ""
        return Page(str(row["identifier"]), row["name"], text, space, False, model, date)
    return _row_page(row)


def _parts(parts: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the headings and paragraphs of Enterprise's structured contents."""
    for part in parts:
        if "value" not in part and part.get("name"):
            yield f"== {part['name']} =="
        if part.get("value"):
            yield part["value"]
        yield from _parts(part.get("has_parts") or [])


def _read_parquet(path: Path) -> Iterator[tuple[float, Page]]:
    import pyarrow.parquet as pq

    done = 0
    with pq.ParquetFile(path) as table:
        for batch in table.iter_batches(batch_size=256, columns=["id", "title", "text"]):
            for row in batch.to_pylist():
                done += 1
                yield done / table.metadata.num_rows, _row_page(row)


def _row_page(row: dict[str, Any]) -> Page:
    return Page(str(row["id"]), str(row["title"] or "").strip(), row["text"] or "")


def _decompressed(path: Path, raw: IO[bytes]) -> Any:
    if path.suffix == ".zst":
        import pyarrow as pa

        return pa.CompressedInputStream(raw, "zstd")
    if path.suffix == ".bz2":
        return bz2.open(raw)
    return gzip.open(raw) if path.suffix == ".gz" else raw


def _files(path: Path) -> tuple[Path, ...]:
    """List the readable files; raise UserError where `path` is none and contains none."""
    if path.is_file():
        _kind(path)
        return (path,)
    found = []
    for file in sorted(path.rglob("*")):
        if file.is_file() and not file.relative_to(path).parts[0].startswith("."):
            try:
                _kind(file)
                found.append(file)
            except UserError as error:
                log(f"skipped: {str(error).removesuffix(EXPECTED)}")
    if not found:
        raise UserError(f"{path}: no file in it can be read. {EXPECTED}")
    return tuple(found)


def _kind(path: Path) -> str:
    """Return dump, json or parquet; raise UserError for anything else."""
    if path.suffix == ".parquet":
        _check_columns(path)
        return "parquet"
    try:
        with path.open("rb") as raw:
            head = _decompressed(path, raw).read(1 << 16).lstrip(b"\xef\xbb\xbf \t\r\n")
    except PermissionError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}).") from error
    except (EOFError, OSError, zlib.error) as error:
        raise UserError(f"{path}: corrupt, or compressed in another way ({error}).") from error
    if b"<!ENTITY" in head or head.startswith(b"<!DOCTYPE"):
        raise UserError(f"{path}: not a MediaWiki dump: it declares a document type.")
    if b"<mediawiki" in head:
        return "dump"
    if head.startswith(b"{") and b'"query"' not in head[:100]:
        return "json"
    raise UserError(
        f"{path}: {'empty' if not head else 'not a wiki in a known format'}. {EXPECTED}"
    )


def _check_columns(path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = pq.read_schema(path).names
    except (OSError, pa.ArrowInvalid) as error:
        raise UserError(f"{path}: not a readable parquet file: {error}") from error
    if missing := {"id", "title", "text"} - set(names):
        raise UserError(f"{path}: column {', '.join(sorted(missing))} missing. {EXPECTED}")


def _hub(name: str) -> Any:
    from datasets import load_dataset

    repository, _, config = name.partition(":")
    try:
        table = load_dataset(repository, config or None, split="train")
        return table.select_columns(["id", "title", "text"])
    except Exception as error:  # offline, unknown, gated, no such config or column
        raise UserError(
            f"{name}: cannot be loaded from the hub: {type(error).__name__}: {error}. Check "
            "its name (owner/name:config) and the network, or download a dump."
        ) from error


def _identity(path: Path, files: tuple[Path, ...]) -> str:
    """Return one file's SHA-1, which Wikimedia publishes with its dumps, or a hash of all."""
    if path.is_file():
        return f"sha1:{_sha1(path)}"
    return fingerprint([[str(file.relative_to(path)), _sha1(file)] for file in files])


def _sha1(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha1").hexdigest()
