"""Names left blank: the name of an article within a sentence of another, asked by its kind."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from solution.core import Mapper
from solution.kowiki.draft import Draft, is_closed, name, plain, sentences
from solution.kowiki.korean import ends_in_consonant
from solution.kowiki.material import Material
from solution.kowiki.passages import Passage

_PARTICLES = frozenset(
    """은 는 이 가 을 를 의 에 에서 에게 와 과 로 으로 도 까지 부터 에는 에서는 에도""".split()
)
# Articles that are defined by such a word have nothing else in common.
_VAGUE = frozenset(
    """것 말 이름 하나 한자 곳 용어 때 수 일 단어 뜻 개념 명칭 낱말 표현 총칭 경우 해 가지
    종류 행위 상태 방법 형태 속 종 개체 물건 물질 사람 사람들 집단 부분 일종 일부 문자 글자
    현상 과정""".split()
)
_NAME = 3
"""Characters of a name at least: shorter ones are often another word too (마리, 이리)."""
_SHORTEST, _LONGEST = 40, 160
"""Characters of the sentence."""
_OTHERS, _BLANKS = 4, 2


def names(
    found: Sequence[tuple[Passage, Material]],
    shards: Sequence[Sequence[Passage]],
    rng: random.Random,
    where: Mapper,
) -> Iterator[Draft]:
    """Up to two blanks a passage; distractors are of the same kind and fit the particle behind.

    The kind is the last word of an article's definition ("... 미국의 39번째 대통령이다.").
    """
    kinds = _kinds(found)
    rivals: defaultdict[tuple[str, bool], list[str]] = defaultdict(list)
    for title, kind in kinds.items():
        rivals[kind, ends_in_consonant(title)].append(title)
    left_blank = chain.from_iterable(where(_blanks, shards, kinds))
    for (passage, _), blanks in zip(found, left_blank, strict=True):
        for title, blank in rng.sample(blanks, min(len(blanks), _BLANKS)):
            kind = kinds[title]
            others = [
                o for o in rivals[kind, ends_in_consonant(title)] if o not in passage.text
            ]
            if len(others) >= _OTHERS:
                choices = (title, *rng.sample(others, _OTHERS))
                question = f"다음 빈칸에 들어갈 말로 알맞은 것은? “{blank}”"
                yield Draft(passage, "name", question, choices, False)


def _kinds(found: Sequence[tuple[Passage, Material]]) -> dict[str, str]:
    """Every article's name that is one word, and its kind."""
    kinds: dict[str, str] = {}
    last = ""
    for passage, offered in found:
        if passage.page_id != last:
            last = passage.page_id
            text, title = offered.defined, name(passage.title)
            kind = text.split()[-1] if text else ""
            if kind and kind not in _VAGUE and " " not in title and len(title) >= _NAME:
                kinds.setdefault(title, kind)
    return kinds


def _blanks(
    passages: Sequence[Passage], kinds: Mapping[str, str]
) -> list[list[tuple[str, str]]]:
    """For each passage of a shard the names that can be left blank in it."""
    return [list(_blanks_of(passage, kinds)) for passage in passages]


def _blanks_of(passage: Passage, kinds: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Names of other articles in sentences on this one, and the sentence without the name."""
    subject = name(passage.title)
    for sentence in sentences(plain(passage.text)):
        fitting = _SHORTEST <= len(sentence) <= _LONGEST and is_closed(sentence)
        if not fitting or subject not in sentence:
            continue
        words = sentence.split()
        for place, word in enumerate(words):
            title = _title(word, kinds)
            if title and title not in subject and subject not in title:
                rest = [*words[:place], f"(   ){word[len(title) :]}", *words[place + 1 :]]
                blank = " ".join(rest)
                if title not in blank:
                    yield title, blank


def _title(word: str, kinds: Mapping[str, str]) -> str:
    """The article's name that a word is, less its particle; "" where it is none."""
    for cut in range(max(_NAME, len(word) - 3), len(word)):
        if word[cut:] in _PARTICLES and word[:cut] in kinds:
            return word[:cut]
    return ""
