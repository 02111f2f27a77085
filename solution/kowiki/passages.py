"""Articles to passages of whole sentences; the passages that `build` wrote."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from solution.core import UserError, sha256_file
from solution.kowiki.sources import Page
from solution.kowiki.wikitext import HEADING, HOLE, Rendered, render, tidy
from solution.kowiki.wikitext_rules import listed

MANIFEST = "manifest.json"
COLUMNS = ("passage_id", "page_id", "title", "section", "text")
BUILD = "Make it with `./run.sh kowiki build SOURCE --out DIR`."
MAX_BRACKET = 300
"""A bracket open for so many characters is taken as never closed."""

_REDIRECT = re.compile(r"\s*[#＃]\s*(?:넘겨주기|redirect)\s*:?\s*\[\[", re.IGNORECASE)
_LISTS_MEANINGS = re.compile(
    r"(?:다음|아래)[^.\n]{0,30}(?:뜻|가리키|가리킨|말한|동음이의|"
    r"(?:것|인물|사람|문서|지명|곳|작품)(?:들)?(?:이|가) 있다)[^\n]{0,9}$"
)
_PLAIN_HEADING = re.compile(r"^(={2,6})[ \t]*([^=\n].*?)[ \t]*={2,6}[ \t]*$", re.MULTILINE)
# Every full stop ends `다.` before a blank or the line, or belongs to a number or a Latin word.
_STOP = re.compile(r"(?<=다\.) ")
_UNCLEAR = re.compile(r"[?!…。]|(?<!다)\.(?![\dA-Za-z])|(?<=다)\.(?! |$)|[A-Z]\. ")
_IN_BRACKETS = re.compile(r"\([^()]*\)")
_END = re.compile(r"[.!?。…][\"'”’」』)\]]*$")
_PAIRS = ("()", "[]", "《》", "〈〉", "“”", "「」", "『』")
_EMPTY = re.compile(
    r"《\s*》|〈\s*〉|“\s*”|‘\s*’|「\s*」|『\s*』|\(\s*\)|\[\s*\]|(?<![\w\"])\"\s*\""
)
# A particle, copula or counter that follows nothing: what stood before it is gone.
_BARE = re.compile(
    r"(?:^|(?<![A-Za-z0-9)\]>”’\"」』》〉])\s|[(《“‘])"
    r"(?:(?:[은는를을와로의]|에(?:서|게|는|도)?|으로|에서[는의])(?=[ .)])"
    r"|(?:이?라[는고]|이[며고]|[이였]다|이었다|이[었였]으며|이|가)(?=[.,)])"
    r"|(?:이?라[는고]|이[며고]|[이였]다|이었다)(?= )|,)"
    r"|(?:[은는이가약]|총|모두|인구는) (?:명|년|월|km²?|m²?|kg|%)(?=[이으에을를의로다,.])"
    r"|[,·]\s*[,·]|\bformula_\d"
)


class Passage(NamedTuple):
    """Whole sentences of one section of one article; `section` is '' for its introduction."""

    passage_id: str
    page_id: str
    title: str
    section: str
    """The path of headings, such as `역사 > 고대`."""
    text: str
    sentences: tuple[str, ...] = ()
    """The sentences of `text`; none where it is a part of one that was too long."""

    @property
    def heading(self) -> str:
        """Return the title and the path of headings."""
        return " > ".join(filter(None, (self.title, self.section)))

    @property
    def titled(self) -> str:
        """Return the text with its heading in front, as it is indexed and shown to a model."""
        return ": ".join(filter(None, (self.heading, self.text)))


class Cut(NamedTuple):
    """The passages of a page, or why there are none, and what was left out of it."""

    passages: list[Passage]
    reason: str
    counts: dict[str, Counter[str]]
    """What was left out: `sections` by title, `sentences` by reason, `templates` by name."""


def cut_page(page: Page, max_chars: int, min_page_chars: int) -> Cut:
    """Cut a page into passages of at most `max_chars` characters of whole sentences.

    Other namespaces and content models, redirects, disambiguation pages and stubs, whose
    sentences have fewer than `min_page_chars` characters, are left out.
    """
    rendered = Rendered("", reason=_excluded(page))
    if not rendered.reason:
        rendered = render(page.text) if page.model else Rendered(_plain(page))
    if rendered.reason or _lists_meanings(rendered.text):
        return Cut([], rendered.reason or "disambiguation", {})
    cut = Cut([], "", {"sections": Counter(), "sentences": Counter(), "templates": Counter()})
    found = [
        (path, [s for s in split_sentences(body) if not _rejected(s, rendered, cut.counts)])
        for path, body in _sections(rendered.text, cut.counts["sections"])
    ]
    if sum(len(sentence) for _, good in found for sentence in good) < min_page_chars:
        return cut._replace(reason="stub")
    number = count()
    for path, good in found:
        for text, sentences in pack(good, max_chars):
            name = f"{page.page_id}-{next(number)}"
            cut.passages.append(Passage(name, page.page_id, page.title, path, text, sentences))
    return cut


def split_sentences(text: str) -> list[str]:
    """Split lines of prose into sentences; ends without a full stop are left out."""
    found: list[str] = []
    for line in text.split("\n"):
        if "." in line or _END.search(line):
            pieces = _STOP.split(line)
            if _UNCLEAR.search(line) or not all(map(_is_balanced, pieces)):
                pieces = _kiwi_sentences(line)
            found += [piece for piece in pieces if _END.search(piece)]
    return [sentence for sentence in found if _is_korean(sentence)]


def sentence_fault(sentence: str) -> str:
    """Return why a sentence lost a part of its text; '' where nothing is missing."""
    if HOLE.search(sentence):
        return "lost a template, formula or link"
    if _EMPTY.search(sentence):
        return "empty quotes or brackets"
    if not _is_balanced(re.sub(r"^[\w가-힣]{1,2}\)", "", sentence)):
        return "unbalanced quotes or brackets"
    return "a particle or counter after nothing" if _BARE.search(sentence) else ""


def pack(sentences: Iterable[str], max_chars: int) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Join sentences while they fit; one longer than `max_chars` is cut and is no sentence."""
    joined: list[str] = []
    for sentence in sentences:
        if joined and len(" ".join(joined)) + 1 + len(sentence) > max_chars:
            yield " ".join(joined), tuple(joined)
            joined = []
        if len(sentence) > max_chars:
            yield from ((piece, ()) for piece in _cut_long(sentence, max_chars))
        else:
            joined.append(sentence)
    if joined:
        yield " ".join(joined), tuple(joined)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a build: source, snapshot, settings, counts, shards.

    Raises UserError where the folder holds no finished build.
    """
    path = folder / MANIFEST
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"{folder}: no finished wiki build ({MANIFEST} missing). {BUILD}"
        ) from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {error}. {BUILD}") from error
    if not isinstance(value, dict) or not isinstance(value.get("shards"), list):
        raise UserError(f"{path}: not the manifest of a wiki build. {BUILD}")
    return value


def build_digest(folder: Path) -> str:
    """Return the SHA-256 of a build's manifest, which names its source and settings.

    Raises UserError where the folder holds no finished build.
    """
    read_manifest(folder)
    return sha256_file(folder / MANIFEST)


def read_passages(folder: Path) -> Iterator[Passage]:
    """Yield the passages of a finished build in its order, holding a few thousand in memory.

    Raises UserError where the folder holds no finished build or a shard is missing.
    """
    import pyarrow.parquet as pq

    columns = [*COLUMNS, "sentences"]
    for name in read_manifest(folder)["shards"]:
        try:
            with pq.ParquetFile(folder / name) as shard:
                for batch in shard.iter_batches(batch_size=4096, columns=columns):
                    values = [batch.column(column).to_pylist() for column in columns]
                    yield from map(Passage, *values[:-1], map(tuple, values[-1]))
        except (KeyError, OSError, ValueError) as error:
            raise UserError(f"{folder / name}: cannot be read: {error}. {BUILD}") from error


def _excluded(page: Page) -> str:
    if page.namespace != 0:
        return "other namespace"
    if page.redirect or _REDIRECT.match(page.text):
        return "redirect"
    if page.model not in ("", "wikitext"):
        return f"content model {page.model}"
    if page.title.endswith("(동음이의)"):
        return "disambiguation"
    return "" if page.text.strip() else "no text"


def _plain(page: Page) -> str:
    """Return extracted text without a first line that repeats the title."""
    first, line, rest = page.text.partition("\n")
    text = rest if line and first.strip() == page.title else page.text
    return tidy(_PLAIN_HEADING.sub(lambda match: f"{HEADING}{len(match[1])}{match[2]}", text))


def _lists_meanings(text: str) -> bool:
    """Whether the page opens with 'X는 다음을 가리킨다:' and a list."""
    opening = text[:200].lstrip().partition("\n")[0]
    return len(opening) < 100 and _LISTS_MEANINGS.search(opening) is not None


def _sections(text: str, dropped: Counter[str]) -> Iterator[tuple[str, str]]:
    """Yield each section's path and text, without those that list sources or links."""
    first, *others = text.split(HEADING)
    yield "", first
    path: list[tuple[int, str]] = []
    for other in others:
        line, _, body = other.partition("\n")
        level, name = int(line[0]), HOLE.sub("", line[1:]).strip()
        path = [entry for entry in path if entry[0] < level] + [(level, name)]
        listing = [one for _, one in path if "".join(one.split()) in listed("sections")]
        if listing:
            dropped[listing[0]] += 1
        else:
            yield " > ".join(one for _, one in path), body


def _rejected(sentence: str, rendered: Rendered, counts: dict[str, Counter[str]]) -> bool:
    fault = sentence_fault(sentence)
    if fault:
        counts["sentences"][fault] += 1
        counts["templates"].update({rendered.name(hole) for hole in HOLE.findall(sentence)})
    return bool(fault)


def _is_balanced(sentence: str) -> bool:
    return sentence.count('"') % 2 == 0 and all(
        sentence.count(opened) == sentence.count(closed)
        for opened, closed in map(tuple, _PAIRS)
    )


def _is_korean(sentence: str) -> bool:
    letters = [char for char in _IN_BRACKETS.sub("", sentence) if char.isalpha()]
    return 2 * sum("가" <= char <= "힣" for char in letters) >= len(letters)


@cache
def _kiwi() -> Any:
    from kiwipiepy import Kiwi

    return Kiwi(num_workers=1)


def _kiwi_sentences(line: str) -> list[str]:
    """Split by Kiwi, but not inside brackets and quotes."""
    found, start = [], 0
    for sentence in _kiwi().split_into_sents(line, return_sub_sents=False):
        piece = line[start : sentence.end].strip()
        if _is_balanced(piece) or len(piece) > MAX_BRACKET:
            found.append(piece)
            start = sentence.end
    rest = line[start:].strip()
    return [*found, rest] if rest else found


def _cut_long(sentence: str, max_chars: int) -> Iterator[str]:
    """Cut at the last comma, else the last blank, else anywhere."""
    while len(sentence) > max_chars:
        at = sentence.rfind(", ", max_chars // 2, max_chars) + 1
        at = at or sentence.rfind(" ", 1, max_chars) or max_chars
        at = max_chars if at < 1 else at
        yield sentence[:at].strip()
        sentence = sentence[at:].strip()
    if sentence:
        yield sentence
