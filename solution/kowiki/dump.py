"""Pages of a MediaWiki XML dump, from any part of the file, in constant memory.

The tags that MediaWiki writes are found as bytes: its texts are escaped, so no page can hold a
tag of its own. No XML entity is ever expanded but the five of XML itself and numbers.
"""

from __future__ import annotations

import bz2
import gzip
import html
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from solution.core import UserError
from solution.kowiki.blocks import read_blocks
from solution.kowiki.pages import Page

_READ = 1 << 17
# MediaWiki keeps pages under 2 MiB; escaping may make four times that of it.
LARGEST_PAGE = 8 << 20
_OPEN, _CLOSE = b"<page>", b"</page>"
_FIELD = {
    name: re.compile(rf"<{name}>([^<]*)</{name}>")
    for name in ("title", "ns", "id", "timestamp")
}
_ESCAPE = re.compile(r"&(?:lt|gt|quot|amp|#\w{1,8});")
_ESCAPED = {"&lt;": "<", "&gt;": ">", "&quot;": '"', "&amp;": "&"}
_TEXT = re.compile(rb"<text\b[^>]*?(/?)>")

Chunk = tuple[bytes | None, bool]
"""Bytes of the dump (None: some are lost here), and whether they are this part's own."""


def read_dump(path: Path, start: int, stop: int, counts: Counter[str]) -> Iterator[Page]:
    """The pages that begin in bytes `start` to `stop` of an `.xml` or `.xml.bz2` file.

    Pages that can't be read are counted in `counts` by reason.
    """
    is_bz2 = path.name.endswith(".bz2")
    chunks = _bz2_chunks(path, start, stop, counts) if is_bz2 else _chunks(path, start, stop)
    for raw in raw_pages(chunks, counts):
        page = _page(raw)
        if page is None:
            counts["unreadable page"] += 1
        else:
            yield page


def read_head(path: Path, size: int) -> bytes:
    """The first bytes of a file, unpacked; b'' where it can't be unpacked.

    Raises UserError where the file is empty or can't be opened.
    """
    unpack: dict[str, Callable[..., Any]] = {".bz2": bz2.open, ".gz": gzip.open}
    try:
        with unpack.get(path.suffix, open)(path, "rb") as stream:
            head = bytes(stream.read(size))
    except PermissionError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}).") from error
    except (OSError, EOFError, zlib.error):
        return b""  # broken at its start; what can be read is found later
    if not head:
        raise UserError(f"{path}: an empty file.")
    return head


def _chunks(path: Path, start: int, stop: int) -> Iterator[Chunk]:
    with path.open("rb") as stream:
        stream.seek(start)
        while start < stop and (data := stream.read(min(_READ, stop - start))):
            start += len(data)
            yield data, True
        while data := stream.read(_READ):
            yield data, False


def _bz2_chunks(path: Path, start: int, stop: int, counts: Counter[str]) -> Iterator[Chunk]:
    for block in read_blocks(path, start):
        own = block.bit < stop * 8
        if own and block.data is None:
            counts["broken bz2 block"] += 1
        yield block.data, own


def raw_pages(chunks: Iterable[Chunk], counts: Counter[str]) -> Iterator[bytes]:
    """The bytes of each page that begins in an own chunk, `<page>` to `</page>`.

    A page is counted, not given, when some of it is lost or cut off, or it is over 8 MiB: no
    more than that is ever held.
    """
    scanner = _Scanner(counts)
    for chunk, own in chunks:
        if chunk is None:
            scanner.lose()
        else:
            yield from scanner.feed(chunk, own)
        if not own and not scanner.inside:
            return
    counts["page cut off by the end of the file"] += scanner.inside


class _Scanner:
    """Finds whole pages in chunks that follow each other."""

    def __init__(self, counts: Counter[str]) -> None:
        self.counts = counts
        self.data = b""
        self.inside = self.dropped = False
        self.searched = 0
        """How far the begun page was searched for its end."""

    def lose(self) -> None:
        """Bytes are missing here: a begun page is lost with them."""
        self.counts["page in a broken block"] += self.inside
        self.data, self.inside, self.dropped, self.searched = b"", False, False, 0

    def feed(self, chunk: bytes, own: bool) -> Iterator[bytes]:
        """The pages that end in this chunk; one that begins in another's chunk is not ours."""
        begun = 0 if self.inside else len(self.data)  # a tag may lie across the border
        self.data += chunk
        limit = len(self.data) if own else begun
        position = 0
        while True:
            if not self.inside:
                position = self._open(position, limit)
                if not self.inside:
                    break
            end = self.data.find(_CLOSE, position + self.searched)
            if end < 0:
                self.searched = max(len(self.data) - position - len(_CLOSE) + 1, 0)
                break
            yield from self._close(position, end + len(_CLOSE))
            position = end + len(_CLOSE)
        self.data = self.data[position:]
        if self.inside and len(self.data) > LARGEST_PAGE:
            self.data, self.searched, self.dropped = self.data[-len(_CLOSE) :], 0, True

    def _open(self, position: int, limit: int) -> int:
        """Where the next page begins, else from where its tag may still be completed."""
        start = self.data.find(_OPEN, position)
        if 0 <= start < limit:
            self.inside, self.searched = True, 0
            return start
        return max(position, len(self.data) - len(_OPEN) + 1)

    def _close(self, start: int, end: int) -> Iterator[bytes]:
        self.inside = False
        if self.dropped:
            self.dropped = False
            self.counts["page over 8 MiB"] += 1
            return
        last = self.data.rfind(_OPEN, start, end)
        self.counts["page without an end"] += last > start
        yield self.data[last:end]


def _page(raw: bytes) -> Page | None:
    """The fields of a page; of several revisions the last one."""
    start = max(raw.rfind(b"<text"), 0)
    try:
        before, body = raw[:start].decode(), _body(raw, start)
    except UnicodeDecodeError:
        return None
    head = {name: field.search(before) for name, field in _FIELD.items()}
    title, number = head["title"], head["id"]
    if title is None or number is None or body is None:
        return None
    space, date = head["ns"], head["timestamp"]
    return Page(
        page_id=number[1].strip(),
        title=html.unescape(title[1]).strip(),
        text=body,
        namespace=int(space[1]) if space and space[1].strip("-").isdigit() else 0,
        redirect="<redirect" in before,
        markup=True,
        date=date[1][:10] if date else "",
    )


def _body(raw: bytes, start: int) -> str | None:
    """What stands in the text element that begins at `start`; None where it is broken."""
    tag = _TEXT.match(raw, start)
    if tag is None or tag[1]:
        return tag and ""
    end = raw.find(b"<", tag.end())
    return _unescape(raw[tag.end() : end].decode()) if raw.startswith(b"</text>", end) else None


def _unescape(text: str) -> str:
    """Undo the escaping of XML; named entities of any other kind stay as they are."""
    return _ESCAPE.sub(_unescaped, text)


def _unescaped(match: re.Match[str]) -> str:
    return _ESCAPED.get(match[0]) or html.unescape(match[0])
