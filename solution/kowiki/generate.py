"""Passages to questions by rule: what a sentence says of its subject becomes what is asked.

No model is needed. A distractor is what the wiki says in the same words of another subject, so
it is of the same kind; what the wiki says of this subject is left out, so it is no second key.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from solution.kowiki.boxes import boxes, orders
from solution.kowiki.draft import (
    Draft,
    changed,
    definition,
    is_closed,
    name,
    plain,
    sentences,
    stands_alone,
)
from solution.kowiki.korean import with_particle
from solution.kowiki.names import names
from solution.kowiki.passages import Passage

_COPULA = re.compile(r"(?:이다|이었다|였다)\.$")
_YEAR = re.compile(r"(?<!\d)(1\d{3}|20\d{2})년(?![대도생])")
_WHERE = re.compile(r"(?:에|에서|로|부터|까지|에게|와|과|도)$")
_TOPIC = re.compile(r"(.*[가-힣])[은는] (.+)$")
# Who, where and when by the last word before the particle; what for the rest.
_ASKED = {
    "어디": "도시 지방 지역 곳 나라 수도 고향 본부 위치 장소 섬 마을 국가",
    "누구": "사람 임금 왕 감독 작가 대통령 저자 아버지 어머니 회장 의장 총리 황제",
    "언제": "달 날 해 때 연도 시기 생일",
}
_WORDS = {word: asked for asked, words in _ASKED.items() for word in words.split()}


@dataclass(frozen=True)
class Slot:
    """A sentence "<subject><rest>은 <value>이다": `rest` names the kind of value."""

    passage: Passage
    rest: str
    value: str


def generate(passages: Iterable[Passage], rng: random.Random) -> Iterator[Draft]:
    """Drafts of every form that the passages allow; two passes over them, in their order."""
    found = list(passages)
    for form in (_slots, _definitions, names, _years, orders, _statements, boxes):
        yield from form(found, rng)


def _slots(passages: Sequence[Passage], rng: random.Random) -> Iterator[Draft]:
    """A sentence "가담의 특산물은 인삼이다." asks "가담의 특산물은 무엇인가?"."""
    slots = [slot for passage in passages for slot in _slots_of(passage)]
    values: defaultdict[str, dict[str, None]] = defaultdict(dict)
    said: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for slot in slots:
        values[slot.rest].setdefault(slot.value)
        said[slot.passage.title, slot.rest].add(slot.value)
    for slot in slots:
        title = slot.passage.title
        others = [v for v in values[slot.rest] if v not in said[title, slot.rest]]
        if len(others) < 4:
            continue
        choices = (slot.value, *rng.sample(others, 4))
        stem = title + slot.rest
        asked = _WORDS.get(slot.rest.split()[-1], "무엇")
        subject = with_particle(stem, "은")
        yield Draft(slot.passage, "slot", f"{subject} {asked}인가?", choices, False)
        fitting = f"{with_particle(stem, '으로')} 알맞은 것은?"
        yield Draft(slot.passage, "slot", fitting, choices, False)


def _slots_of(passage: Passage) -> Iterator[Slot]:
    for sentence in sentences(plain(passage.text)):
        if not sentence.startswith(passage.title) or not _COPULA.search(sentence):
            continue
        body = _COPULA.sub("", sentence.removeprefix(passage.title))
        # At the last 은 or 는: those before it belong to relative clauses.
        parts = _TOPIC.match(body)
        if not parts or _WHERE.search(parts[1]) or " " not in parts[1].strip():
            continue
        rest, value = parts.groups()
        if 0 < len(value) <= 20 and len(value.split()) <= 3 and len(rest.split()) <= 5:
            yield Slot(passage, rest, value)


def _definitions(passages: Sequence[Passage], rng: random.Random) -> Iterator[Draft]:
    """The first sentence says what the subject is: which subject is asked."""
    defined: list[tuple[Passage, str]] = []
    kinds: defaultdict[str, dict[str, None]] = defaultdict(dict)
    last = ""
    for passage in passages:
        if passage.page_id == last:
            continue
        last = passage.page_id
        text = definition(passage)
        if text:
            defined.append((passage, text))
            kinds[text.split()[-1]].setdefault(name(passage.title))
    for passage, text in defined:
        title = name(passage.title)
        others = [other for other in kinds[text.split()[-1]] if other != title]
        if len(others) >= 4 and 25 <= len(text) <= 90:
            choices = (title, *rng.sample(others, 4))
            question = f"‘{text}’에 해당하는 것은?"
            yield Draft(passage, "definition", question, choices, False)


def _years(passages: Sequence[Passage], rng: random.Random) -> Iterator[Draft]:
    """The one year of a sentence is left blank."""
    for passage in passages:
        for sentence in sentences(plain(passage.text)):
            years = _YEAR.findall(sentence)
            about = name(passage.title) in sentence
            if (
                len(years) != 1
                or not about
                or "~" in sentence
                or not is_closed(sentence)
                or not 30 <= len(sentence) <= 160
            ):
                continue
            year = int(years[0])
            near = [y for y in range(year - 12, year + 13) if y != year]
            choices = tuple(f"{y}년" for y in (year, *rng.sample(near, 4)))
            blank = _YEAR.sub("(   )", sentence, count=1)
            question = f"다음 빈칸에 들어갈 연도로 알맞은 것은? “{blank}”"
            yield Draft(passage, "year", question, choices, False)


def _statements(passages: Sequence[Passage], rng: random.Random) -> Iterator[Draft]:
    """Sentences of the passage, and sentences with another number: which agree with it."""
    for passage in passages:
        whole = [s for s in sentences(passage.text) if stands_alone(s)]
        pairs = [(s, changed(s, rng)) for s in whole]
        false = [other for _, other in pairs if other]
        if len(whole) < 4 or not false:
            continue
        if rng.random() < 0.5 and len(false) >= 3:
            true = rng.choice([s for s, other in pairs if other])
            wrong = [other for s, other in pairs if other and s != true][:4]
            if len(wrong) >= 3:
                question = "윗글의 내용과 일치하는 것은?"
                yield Draft(passage, "agrees", question, (true, *wrong), True)
        else:
            source, lie = rng.choice([pair for pair in pairs if pair[1]])
            right = [s for s in whole if s != source][:4]
            if len(right) >= 3:
                question = "윗글의 내용과 일치하지 않는 것은?"
                yield Draft(passage, "disagrees", question, (lie, *right), True)
