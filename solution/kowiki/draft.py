"""A question before its choices are put in order, and the sentences that drafts are made of."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from solution.kowiki.passages import Passage

MOST = 60
"""Characters of a choice at most."""
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_NUMBER = re.compile(
    r"(?<![\d.,])(\d{1,4})(?=(?:년|월|일|명|개|번|세|위|회|km|m|대|살|척|권|편|곳)(?![가-힣]*째|대))"
)
_BRACKETS = re.compile(r"\s*\([^()]*\)")
# How a sentence begins that leans on the one before it.
_OPEN = re.compile(
    r"^(?:그|이|또|또한|하지만|그러나|따라서|이후|그리고|한편|당시|이때|여기|같은|다만|특히|반면|결국|"
    r"이어|거기|이들|그들|이는|즉|예를)(?:[는은가를의,서]|에서|에게|\s|들)"
)


@dataclass(frozen=True)
class Draft:
    """A question before its choices are put in order: `choices[0]` is the right one."""

    passage: Passage
    form: str
    question: str
    choices: tuple[str, ...]
    shown: bool
    """Whether the passage stands with the question (reading) or not (knowledge)."""
    plus: str = ""
    """The box (보기) that stands with the question."""


def sentences(text: str) -> list[str]:
    """The sentences of a passage."""
    return [sentence.strip() for sentence in _SENTENCE.split(text)]


def plain(text: str) -> str:
    """The text without what stands in brackets."""
    return _BRACKETS.sub("", text)


def definition(passage: Passage) -> str:
    """What the first sentence says its subject is, such as "미국의 39번째 대통령"; else ""."""
    first, about = sentences(plain(passage.text))[0], name(passage.title)
    if not first.startswith(about) or not first.endswith("이다."):
        return ""
    subject, _, rest = first.removesuffix("이다.").partition(" ")
    if subject[-1:] not in "은는" or not rest or about in rest:
        return ""
    return rest if "가" <= rest[-1] <= "힣" else ""


def name(title: str) -> str:
    """What an article is about: its title without the brackets that tell namesakes apart."""
    return plain(title).strip()


def is_closed(sentence: str) -> bool:
    """Whether a sentence is whole and does not lean on the one before it."""
    return sentence.endswith("다.") and not _OPEN.match(sentence)


def stands_alone(sentence: str) -> bool:
    """Whether a short sentence says something without the one before it."""
    return (
        12 <= len(sentence) <= MOST
        and is_closed(sentence)
        and sentence.count("(") == sentence.count(")")
    )


def changeable(sentence: str) -> bool:
    """Whether a sentence holds a number that can be changed."""
    return bool(_NUMBER.search(sentence))


def changed(sentence: str, rng: random.Random) -> str:
    """The sentence with one number changed within its range; "" where it holds none."""
    numbers = list(_NUMBER.finditer(sentence))
    if not numbers:
        return ""
    found = rng.choice(numbers)
    value, unit = int(found[1]), sentence[found.end() : found.end() + 1]
    limits: dict[str, tuple[int, int]] = {"월": (1, 12), "일": (1, 28)}
    reach = min(12, max(3, value // 3))
    low, high = limits.get(unit, (max(1, value - reach), value + reach))
    others = [n for n in range(low, high + 1) if n != value]
    return f"{sentence[: found.start()]}{rng.choice(others)}{sentence[found.end() :]}"
