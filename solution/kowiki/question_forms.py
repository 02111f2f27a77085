"""Passages to questions by rule, without a model.

A form is a function of one passage's facts and the whole wiki; `@form` registers it.
Distractors come from other articles of the same kind; what the wiki says of the subject is
never one.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, permutations

from solution.kowiki.extract import (
    PassageFacts,
    change_number,
    ends_in_consonant,
    extract,
    is_closed,
    with_particle,
)
from solution.kowiki.passages import Passage

LABELS = "ㄱㄴㄷㄹ"
DISTRACTORS = 4
MIN_NAME_CHARS = 3
"""Shorter names are often another word too (마리, 이리)."""
BLANKS = 2
"""Name questions of a passage at most."""
_PARTICLES = frozenset(
    """은 는 이 가 을 를 의 에 에서 에게 와 과 로 으로 도 까지 부터 에는 에서는 에도""".split()
)
# Articles that are defined by such a word have nothing else in common.
_VAGUE_KINDS = frozenset(
    """것 말 이름 하나 한자 곳 용어 때 수 일 단어 뜻 개념 명칭 낱말 표현 총칭 경우 해 가지
    종류 행위 상태 방법 형태 속 종 개체 물건 물질 사람 사람들 집단 부분 일종 일부 문자 글자
    현상 과정""".split()
)
# Where, who and when by the last word before the particle; what for the rest.
_INTERROGATIVES = {
    word: asked
    for asked, words in {
        "어디": "도시 지방 지역 곳 나라 수도 고향 본부 위치 장소 섬 마을 국가",
        "누구": "사람 임금 왕 감독 작가 대통령 저자 아버지 어머니 회장 의장 총리 황제",
        "언제": "달 날 해 때 연도 시기 생일",
    }.items()
    for word in words.split()
}


@dataclass(frozen=True)
class Draft:
    """A question before its choices are put in order: `choices[0]` is the right one."""

    passage: Passage
    form: str
    question: str
    choices: tuple[str, ...]
    with_passage: bool
    """Whether the passage is part of the question (reading) or not (knowledge)."""
    box: str = ""
    """The statements (보기) of the question."""


@dataclass
class Wiki:
    """The facts of all passages, and what forms look up across articles."""

    facts: list[PassageFacts]
    values: defaultdict[str, dict[str, None]] = field(default_factory=lambda: defaultdict(dict))
    """By attribute the values of all subjects, in order."""
    said: defaultdict[tuple[str, str], set[str]] = field(
        default_factory=lambda: defaultdict(set)
    )
    """By title and attribute the values that are true."""
    kinds: defaultdict[str, dict[str, None]] = field(default_factory=lambda: defaultdict(dict))
    """By kind the subjects of all articles, in order."""
    kind_of: dict[str, str] = field(default_factory=dict)
    """The kind of every subject whose name is one word that can be left blank."""
    events: defaultdict[str, dict[int, tuple[Passage, str]]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    """By page the first event of each year."""

    def __post_init__(self) -> None:
        for facts in self.facts:
            for rest, value in facts.attributes:
                self.values[rest].setdefault(value)
                self.said[facts.passage.title, rest].add(value)
            for year, event in facts.events:
                self.events[facts.passage.page_id].setdefault(year, (facts.passage, event))
            if facts.definition:
                self.kinds[facts.kind].setdefault(facts.subject)
                one_word = " " not in facts.subject and len(facts.subject) >= MIN_NAME_CHARS
                if one_word and facts.kind not in _VAGUE_KINDS:
                    self.kind_of.setdefault(facts.subject, facts.kind)

    def names_like(self, name: str) -> list[str]:
        """Return the other names of the same kind that take the same particles."""
        closed = ends_in_consonant(name)
        kind = self.kind_of[name]
        return [
            other
            for other in self.kinds[kind]
            if other != name
            and self.kind_of.get(other) == kind
            and ends_in_consonant(other) == closed
        ]


Form = Callable[[PassageFacts, Wiki, random.Random], Iterator[Draft]]
FORMS: dict[str, Form] = {}


def form(function: Form) -> Form:
    """Register a form under the name of its function."""
    FORMS[function.__name__] = function
    return function


def generate(passages: Iterable[Passage], rng: random.Random) -> Iterator[Draft]:
    """Yield drafts of every form, in the order of forms and passages."""
    wiki = Wiki(extract(passages))
    for make in FORMS.values():
        for facts in wiki.facts:
            yield from make(facts, wiki, rng)


@form
def slot(facts: PassageFacts, wiki: Wiki, rng: random.Random) -> Iterator[Draft]:
    """Ask "가담의 특산물은 무엇인가?" for a sentence "가담의 특산물은 인삼이다."."""
    passage = facts.passage
    for rest, value in facts.attributes:
        true = wiki.said[passage.title, rest]
        others = [other for other in wiki.values[rest] if other not in true]
        if len(others) < DISTRACTORS:
            continue
        choices = (value, *rng.sample(others, DISTRACTORS))
        topic = passage.title + rest
        asked = _INTERROGATIVES.get(rest.split()[-1], "무엇")
        question = f"{with_particle(topic, '은')} {asked}인가?"
        yield Draft(passage, "slot", question, choices, False)
        question = f"{with_particle(topic, '으로')} 알맞은 것은?"
        yield Draft(passage, "slot", question, choices, False)


@form
def definition(facts: PassageFacts, wiki: Wiki, rng: random.Random) -> Iterator[Draft]:
    """Ask which subject the first sentence of an article defines."""
    others = [other for other in wiki.kinds[facts.kind] if other != facts.subject]
    if len(others) >= DISTRACTORS and 25 <= len(facts.definition) <= 90:
        choices = (facts.subject, *rng.sample(others, DISTRACTORS))
        question = f"‘{facts.definition}’에 해당하는 것은?"
        yield Draft(facts.passage, "definition", question, choices, False)


@form
def name(facts: PassageFacts, wiki: Wiki, rng: random.Random) -> Iterator[Draft]:
    """Leave the name of another article blank; distractors are of its kind."""
    blanks = list(_blanks(facts, wiki))
    for title, blank in rng.sample(blanks, min(len(blanks), BLANKS)):
        text = facts.passage.text
        others = [other for other in wiki.names_like(title) if other not in text]
        if len(others) >= DISTRACTORS:
            choices = (title, *rng.sample(others, DISTRACTORS))
            question = f"다음 빈칸에 들어갈 말로 알맞은 것은? “{blank}”"
            yield Draft(facts.passage, "name", question, choices, False)


def _blanks(facts: PassageFacts, wiki: Wiki) -> Iterator[tuple[str, str]]:
    """Yield names of other articles in sentences on this one, and the sentence without it."""
    for sentence in facts.sentences:
        fitting = 40 <= len(sentence) <= 160 and is_closed(sentence)
        if not fitting or facts.subject not in sentence:
            continue
        words = sentence.split()
        for place, word in enumerate(words):
            title = _name_in(word, wiki.kind_of)
            if title and title not in facts.subject and facts.subject not in title:
                rest = [*words[:place], f"(   ){word[len(title) :]}", *words[place + 1 :]]
                if title not in (blank := " ".join(rest)):
                    yield title, blank


def _name_in(word: str, names: dict[str, str]) -> str:
    """Return the name that a word is without its particle; '' where it is none."""
    for cut in range(max(MIN_NAME_CHARS, len(word) - 3), len(word)):
        if word[cut:] in _PARTICLES and word[:cut] in names:
            return word[:cut]
    return ""


@form
def year(facts: PassageFacts, _: Wiki, rng: random.Random) -> Iterator[Draft]:
    """Leave the only year of a sentence blank."""
    for blank, value in facts.dated:
        near = [other for other in range(value - 12, value + 13) if other != value]
        choices = tuple(f"{one}년" for one in (value, *rng.sample(near, DISTRACTORS)))
        question = f"다음 빈칸에 들어갈 연도로 알맞은 것은? “{blank}”"
        yield Draft(facts.passage, "year", question, choices, False)


@form
def order(facts: PassageFacts, wiki: Wiki, rng: random.Random) -> Iterator[Draft]:
    """Ask in which order four dated events of an article came, without their years."""
    events = wiki.events.pop(facts.passage.page_id, {})
    drawn = rng.sample(sorted(events), len(events) - len(events) % len(LABELS))
    for start in range(0, len(drawn), len(LABELS)):
        years = drawn[start : start + len(LABELS)]
        right = tuple(sorted(range(len(LABELS)), key=years.__getitem__))
        others = [one for one in permutations(range(len(LABELS))) if one != right]
        choices = _labelled([right, *rng.sample(others, DISTRACTORS)], " - ")
        question = (
            f"‘{facts.subject}’에 대한 <보기>의 일을 먼저 일어난 것부터 바르게 나열한 것은?"
        )
        statements = _box([events[value][1] for value in years])
        yield Draft(events[min(years)][0], "order", question, choices, False, statements)


@form
def agreement(facts: PassageFacts, _: Wiki, rng: random.Random) -> Iterator[Draft]:
    """Ask which statement agrees or disagrees with the passage; a number is changed in some."""
    whole = facts.statements
    pairs = [(s, change_number(s, rng)) for s in whole]
    changed = [pair for pair in pairs if pair[1]]
    if len(whole) < 4 or not changed:
        return
    if rng.random() < 0.5 and len(changed) >= 3:
        true = rng.choice(changed)[0]
        wrong = [other for s, other in changed if s != true][:DISTRACTORS]
        if len(wrong) >= 3:
            question = "윗글의 내용과 일치하는 것은?"
            yield Draft(facts.passage, "agrees", question, (true, *wrong), True)
        return
    source, wrong_one = rng.choice(changed)
    right = [s for s in whole if s != source][:DISTRACTORS]
    if len(right) >= 3:
        question = "윗글의 내용과 일치하지 않는 것은?"
        yield Draft(facts.passage, "disagrees", question, (wrong_one, *right), True)


@form
def box(facts: PassageFacts, _: Wiki, rng: random.Random) -> Iterator[Draft]:
    """Ask which of four statements agree with the passage; a number is changed in some."""
    whole = list(dict.fromkeys(facts.statements))
    changed = {s: other for s in whole if (other := change_number(s, rng))}
    if len(whole) < len(LABELS) or not changed:
        return
    wrong = set(rng.sample(sorted(changed), min(len(changed), rng.randint(1, 3))))
    picked = rng.sample(sorted(set(whole) - wrong), len(LABELS) - len(wrong))
    lines = rng.sample([*picked, *sorted(wrong)], len(LABELS))
    answer = tuple(i for i, line in enumerate(lines) if line not in wrong)
    others = [c for n in (1, 2, 3) for c in combinations(range(len(LABELS)), n) if c != answer]
    yield Draft(
        facts.passage,
        "box",
        "윗글의 내용과 일치하는 것만을 <보기>에서 있는 대로 고른 것은?",
        _labelled([answer, *rng.sample(others, DISTRACTORS)], ", "),
        True,
        _box([changed[line] if line in wrong else line for line in lines]),
    )


def _labelled(choices: Iterable[Iterable[int]], separator: str) -> tuple[str, ...]:
    return tuple(separator.join(LABELS[i] for i in choice) for choice in choices)


def _box(lines: Sequence[str]) -> str:
    return "\n".join(f"{label}. {line}" for label, line in zip(LABELS, lines, strict=True))
