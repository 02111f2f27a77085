"""Pages of WikiExtractor's output: `<doc>` blocks or one JSON object a line, also gzipped."""

from __future__ import annotations

import gzip
import html
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from solution.kowiki.dump import LARGEST_PAGE
from solution.kowiki.pages import Page

_DOC = re.compile(r'<doc id="([^"]*)".*? title="(.*)">\s*')
_BROKEN = (EOFError, OSError, zlib.error)


def read_json_lines(path: Path, counts: Counter[str]) -> Iterator[Page]:
    """Pages of lines with `id`, `title` and `text`; other lines are counted as unreadable."""
    for line in _lines(path, counts):
        try:
            row = json.loads(line)
            page = Page(str(row["id"]), str(row["title"]).strip(), row["text"])
            "".join(page[:3]).encode()  # half a character, which JSON can hold, is none
        except (ValueError, KeyError, TypeError):
            counts["unreadable line"] += 1
        else:
            yield page


def read_extracted(path: Path, counts: Counter[str]) -> Iterator[Page]:
    """Pages of `<doc id= url= title=>` blocks; one without its end is counted as cut off."""
    head: tuple[str, str] | None = None
    body: list[str] = []
    size = 0
    for raw in _lines(path, counts):
        line = raw.decode("utf-8", errors="replace")
        if line.startswith("<doc ") and (match := _DOC.fullmatch(line)):
            counts["page without an end"] += head is not None
            head, body, size = (match[1], html.unescape(match[2]).strip()), [], 0
        elif line.startswith("</doc>") and head:
            if size > LARGEST_PAGE:
                counts["page over 8 MiB"] += 1
            else:
                yield Page(*head, html.unescape("".join(body)))
            head, body = None, []
        elif head:
            size += len(raw)
            if size <= LARGEST_PAGE:
                body.append(line)
    counts["page cut off by the end of the file"] += head is not None


def _lines(path: Path, counts: Counter[str]) -> Iterator[bytes]:
    """Lines of bytes, none longer than a page may be."""
    unpack: Any = gzip.open if path.name.endswith(".gz") else open
    with unpack(path, "rb") as stream:
        while True:
            try:
                line = stream.readline(LARGEST_PAGE)
                if len(line) == LARGEST_PAGE and not line.endswith(b"\n"):
                    counts["line over 8 MiB"] += 1
                    while line and not line.endswith(b"\n"):
                        line = stream.readline(LARGEST_PAGE)
                    continue
            except _BROKEN:
                counts["broken gzip file"] += 1
                return
            if not line:
                return
            if line.strip():
                yield line
            else:
                yield b"\n"
