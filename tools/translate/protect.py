"""What a translation must leave as it is: hidden before, put back and counted after."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

# Links, {slots}, <tags>, [MARKS], $formulas$, \commands, %s, (A) and whole numbers, 1,000.5%.
KEPT = re.compile(
    r"(https?://\S+|\{[^{}\n]*\}|<[^<>\n]{1,60}>|\[[^\[\]\n]{1,60}\]|\$[^$\n]+\$|\\[A-Za-z]+"
    r"|%[sd]|\([A-Za-z0-9]\)|\d+(?:[.,:/]\d+)*%?)"
)
LETTER = re.compile(r"[^\W\d_]")


class Lost(ValueError):
    """A translation that did not keep what it had to; says what."""


@dataclass(frozen=True)
class Marks:
    """How a translator is shown what it must keep.

    `show` gives the mark of the n-th kept text, `find` matches one with n as its group;
    `quote` and `unquote` are for the text between them.
    """

    show: Callable[[int, str], str]
    find: re.Pattern[str]
    quote: Callable[[str], str] = str
    unquote: Callable[[str], str] = str


def hidden(text: str, marks: Marks) -> tuple[str, list[str]]:
    """The text with a mark in the place of everything to be kept, and what was there."""
    parts = KEPT.split(text)
    kept = parts[1::2]
    parts[::2] = [marks.quote(part) for part in parts[::2]]
    parts[1::2] = [marks.show(number, part) for number, part in enumerate(kept)]
    return "".join(parts), kept


def restored(translated: str, kept: list[str], marks: Marks) -> str:
    """The translation with what was hidden back in place. Raises Lost unless each is there."""
    parts = marks.find.split(translated)
    numbers = [int(number) for number in parts[1::2]]
    if sorted(numbers) != list(range(len(kept))):
        raise Lost("a number or placeholder was lost or doubled")
    parts[::2] = [marks.unquote(part) for part in parts[::2]]
    parts[1::2] = [kept[number] for number in numbers]
    return "".join(parts)


def check_kept(text: str, translated: str) -> None:
    """Raise Lost where something to be kept is missing; others may appear (two as 2)."""
    if Counter(KEPT.findall(text)) - Counter(KEPT.findall(translated)):
        raise Lost("a number or placeholder was lost or doubled")


def has_words(text: str) -> bool:
    """Whether anything is left to translate beside what must be kept."""
    return any(LETTER.search(part) for part in KEPT.split(text)[::2])
