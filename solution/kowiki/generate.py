"""Passages to questions by rule: what a sentence says of its subject becomes what is asked.

No model is needed. A distractor is what the wiki says in the same words of another subject, so
it is of the same kind; what the wiki says of this subject is left out, so it is no second key.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from solution.core import Mapper, map_here
from solution.kowiki.boxes import boxes, orders
from solution.kowiki.draft import Draft, changed, name
from solution.kowiki.korean import with_particle
from solution.kowiki.material import Material, material, shards
from solution.kowiki.names import names
from solution.kowiki.passages import Passage

Found = Sequence[tuple[Passage, Material]]
# Who, where and when by the last word before the particle; what for the rest.
_ASKED = {
    "어디": "도시 지방 지역 곳 나라 수도 고향 본부 위치 장소 섬 마을 국가",
    "누구": "사람 임금 왕 감독 작가 대통령 저자 아버지 어머니 회장 의장 총리 황제",
    "언제": "달 날 해 때 연도 시기 생일",
}
_WORDS = {word: asked for asked, words in _ASKED.items() for word in words.split()}


def generate(
    passages: Iterable[Passage], rng: random.Random, where: Mapper = map_here
) -> Iterator[Draft]:
    """Drafts of every form that the passages allow, in the passages' order.

    What each passage offers is read shard by shard wherever `where` works; what is drawn by
    `rng` is drawn here, so that the same drafts come out of either.
    """
    kept = list(shards(passages))
    offered = where(material, kept, None)
    found = [
        pair
        for shard, own in zip(kept, offered, strict=True)
        for pair in zip(shard, own, strict=True)
    ]
    for draw in (_slots, _definitions):
        yield from draw(found, rng)
    yield from names(found, kept, rng, where)
    for draw in (_years, orders, _statements, boxes):
        yield from draw(found, rng)


def _slots(found: Found, rng: random.Random) -> Iterator[Draft]:
    """A sentence "가담의 특산물은 인삼이다." asks "가담의 특산물은 무엇인가?"."""
    slots = [(passage, *slot) for passage, offered in found for slot in offered.slots]
    values: defaultdict[str, dict[str, None]] = defaultdict(dict)
    said: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for passage, rest, value in slots:
        values[rest].setdefault(value)
        said[passage.title, rest].add(value)
    for passage, rest, value in slots:
        title = passage.title
        others = [v for v in values[rest] if v not in said[title, rest]]
        if len(others) < 4:
            continue
        choices = (value, *rng.sample(others, 4))
        stem = title + rest
        asked = _WORDS.get(rest.split()[-1], "무엇")
        subject = with_particle(stem, "은")
        yield Draft(passage, "slot", f"{subject} {asked}인가?", choices, False)
        fitting = f"{with_particle(stem, '으로')} 알맞은 것은?"
        yield Draft(passage, "slot", fitting, choices, False)


def _definitions(found: Found, rng: random.Random) -> Iterator[Draft]:
    """The first sentence says what the subject is: which subject is asked."""
    defined: list[tuple[Passage, str]] = []
    kinds: defaultdict[str, dict[str, None]] = defaultdict(dict)
    last = ""
    for passage, offered in found:
        if passage.page_id == last:
            continue
        last, text = passage.page_id, offered.defined
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


def _years(found: Found, rng: random.Random) -> Iterator[Draft]:
    """The one year of a sentence is left blank."""
    for passage, offered in found:
        for blank, year in offered.dated:
            near = [y for y in range(year - 12, year + 13) if y != year]
            choices = tuple(f"{y}년" for y in (year, *rng.sample(near, 4)))
            question = f"다음 빈칸에 들어갈 연도로 알맞은 것은? “{blank}”"
            yield Draft(passage, "year", question, choices, False)


def _statements(found: Found, rng: random.Random) -> Iterator[Draft]:
    """Sentences of the passage, and sentences with another number: which agree with it."""
    for passage, offered in found:
        whole = offered.statements
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
