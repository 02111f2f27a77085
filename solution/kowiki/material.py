"""What each passage offers to questions: read from its text alone, so shards share nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple, TypeVar

from solution.kowiki.draft import (
    changeable,
    definition,
    is_closed,
    name,
    plain,
    sentences,
    stands_alone,
)
from solution.kowiki.passages import Passage

SHARD = 4096
"""Passages of a shard, or questions."""
T = TypeVar("T")
_COPULA = re.compile(r"(?:이다|이었다|였다)\.$")
_YEAR = re.compile(r"(?<!\d)(1\d{3}|20\d{2})년(?![대도생])")
_WHERE = re.compile(r"(?:에|에서|로|부터|까지|에게|와|과|도)$")
_TOPIC = re.compile(r"(.*[가-힣])[은는] (.+)$")
_DATED = re.compile(
    r"^(1\d{3}|20\d{2})년(?:에는|에)?,? (?:\d{1,2}월(?: \d{1,2}일)?(?:에는|에)?,? )?"
)
_ANY_YEAR = re.compile(r"\d{3,4}년")


class Material(NamedTuple):
    """What one passage offers, in the order of its text."""

    slots: tuple[tuple[str, str], ...]
    """Of "<subject><rest>은 <value>이다": `rest`, that names a kind of value, and the value."""
    defined: str
    """What its first sentence says its subject is; "" behind an article's first passage."""
    dated: tuple[tuple[str, int], ...]
    """Sentences with their one year left blank, and the year."""
    events: tuple[tuple[int, str], ...]
    """The year that a sentence begins with, and the event in it."""
    statements: tuple[str, ...]
    """Sentences that stand alone; none where no number can be changed in any."""


def shards(items: Iterable[T]) -> Iterator[list[T]]:
    """The items, SHARD at a time."""
    rows = iter(items)
    while shard := list(islice(rows, SHARD)):
        yield shard


def material(passages: Sequence[Passage], _: None) -> list[Material]:
    """What each passage of a shard offers."""
    found = []
    last = ""
    for passage in passages:
        cut = sentences(plain(passage.text))
        defined = "" if passage.page_id == last else definition(passage)
        last = passage.page_id
        whole = tuple(s for s in sentences(passage.text) if stands_alone(s))
        found.append(
            Material(
                tuple(_slots(passage, cut)),
                defined,
                tuple(_dated(passage, cut)),
                tuple(_events(cut)),
                whole if any(map(changeable, whole)) else (),
            )
        )
    return found


def _slots(passage: Passage, cut: Iterable[str]) -> Iterator[tuple[str, str]]:
    for sentence in cut:
        if not sentence.startswith(passage.title) or not _COPULA.search(sentence):
            continue
        body = _COPULA.sub("", sentence.removeprefix(passage.title))
        # At the last 은 or 는: those before it belong to relative clauses.
        parts = _TOPIC.match(body)
        if not parts or _WHERE.search(parts[1]) or " " not in parts[1].strip():
            continue
        rest, value = parts.groups()
        if 0 < len(value) <= 20 and len(value.split()) <= 3 and len(rest.split()) <= 5:
            yield rest, value


def _dated(passage: Passage, cut: Iterable[str]) -> Iterator[tuple[str, int]]:
    about = name(passage.title)
    for sentence in cut:
        years = _YEAR.findall(sentence)
        if (
            len(years) == 1
            and about in sentence
            and "~" not in sentence
            and is_closed(sentence)
            and 30 <= len(sentence) <= 160
        ):
            yield _YEAR.sub("(   )", sentence, count=1), int(years[0])


def _events(cut: Iterable[str]) -> Iterator[tuple[int, str]]:
    for sentence in cut:
        dated = _DATED.match(sentence)
        event = sentence[dated.end() :] if dated else ""
        if dated and stands_alone(event) and not _ANY_YEAR.search(event):
            yield int(dated[1]), event
