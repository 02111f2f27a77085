"""What each passage offers to questions: definitions, dated events, attributes, statements."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from solution.kowiki.passages import Passage

MAX_CHOICE_CHARS = 60
_BRACKETS = re.compile(r"\s*\([^()]*\)")
_NUMBER = re.compile(
    r"(?<![\d.,])(\d{1,4})(?=(?:년|월|일|명|개|번|세|위|회|km|m|대|살|척|권|편|곳)(?![가-힣]*째|대))"
)
# Beginnings of sentences that refer to the sentence before.
_REFERS_BACK = re.compile(
    r"^(?:그|이|또|또한|하지만|그러나|따라서|이후|그리고|한편|당시|이때|여기|같은|다만|특히|반면|결국|"
    r"이어|거기|이들|그들|이는|즉|예를)(?:[는은가를의,서]|에서|에게|\s|들)"
)
_COPULA = re.compile(r"(?:이다|이었다|였다)\.$")
_YEAR = re.compile(r"(?<!\d)(1\d{3}|20\d{2})년(?![대도생])")
_ADVERBIAL = re.compile(r"(?:에|에서|로|부터|까지|에게|와|과|도)$")
_TOPIC = re.compile(r"(.*[가-힣])[은는] (.+)$")
_DATED = re.compile(
    r"^(1\d{3}|20\d{2})년(?:에는|에)?,? (?:\d{1,2}월(?: \d{1,2}일)?(?:에는|에)?,? )?"
)
_ANY_YEAR = re.compile(r"\d{3,4}년")
# A bracket between a word and its particle is skipped.
_END_BRACKETS = re.compile(r"\([^()]*\)$")
_PARTICLE_PAIRS = {"은": "는", "이": "가", "을": "를", "과": "와", "으로": "로"}
_CLOSED_DIGITS = "013678"


class PassageFacts(NamedTuple):
    """What one passage offers, in the order of its text."""

    passage: Passage
    subject: str
    """What the article is about."""
    definition: str
    """What the article's first sentence says its subject is; '' in later passages."""
    attributes: tuple[tuple[str, str], ...]
    """(`rest`, `value`) of "<subject><rest>은 <value>이다"."""
    dated: tuple[tuple[str, int], ...]
    """Sentences with their only year replaced by a blank, and the year."""
    events: tuple[tuple[int, str], ...]
    """The year at the beginning of a sentence, and the event."""
    statements: tuple[str, ...]
    """Sentences that are understood alone; none where no number can be changed in any."""
    sentences: tuple[str, ...]
    """All sentences without what they hold in brackets."""

    @property
    def kind(self) -> str:
        """Return the head noun of the definition."""
        return self.definition.rpartition(" ")[2]


def extract(passages: Iterable[Passage]) -> list[PassageFacts]:
    """Read what each passage offers."""
    found = []
    last_page = ""
    for passage in passages:
        plain = tuple(map(without_brackets, passage.sentences))
        statements = tuple(s for s in passage.sentences if is_independent(s))
        found.append(
            PassageFacts(
                passage,
                subject_of(passage.title),
                "" if passage.page_id == last_page else _definition(passage, plain),
                tuple(_attributes(passage, plain)),
                tuple(_dated(passage, plain)),
                tuple(_events(plain)),
                statements if any(map(_NUMBER.search, statements)) else (),
                plain,
            )
        )
        last_page = passage.page_id
    return found


def without_brackets(text: str) -> str:
    """Remove the text in round brackets."""
    return _BRACKETS.sub("", text)


def subject_of(title: str) -> str:
    """Return the title without the brackets that tell namesakes apart."""
    return without_brackets(title).strip()


def is_closed(sentence: str) -> bool:
    """Whether a sentence is complete and does not refer to the one before it."""
    return sentence.endswith("다.") and not _REFERS_BACK.match(sentence)


def is_independent(sentence: str) -> bool:
    """Whether a sentence is understood alone and short enough for a choice."""
    return 12 <= len(sentence) <= MAX_CHOICE_CHARS and is_closed(sentence)


def change_number(sentence: str, rng: random.Random) -> str:
    """Change one number of a sentence within its range; '' where it holds none."""
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


def ends_in_consonant(word: str) -> bool:
    """Whether a word of Hangul ends in a consonant; False for anything else."""
    return "가" <= word[-1:] <= "힣" and (ord(word[-1]) - ord("가")) % 28 != 0


def with_particle(word: str, particle: str) -> str:
    """Append `particle` (은, 이, 을, 과 or 으로) in the form that the word's last sound needs.

    Words that end in neither Hangul nor a digit take the form after a vowel.
    """
    last = _END_BRACKETS.sub("", word).rstrip("\"'”’")[-1:]
    if "가" <= last <= "힣":
        final = (ord(last) - ord("가")) % 28
        closed = final != 0 and not (particle == "으로" and final == 8)
    else:
        closed = last != "" and last in _CLOSED_DIGITS
        closed = closed and not (particle == "으로" and last in "178")
    return word + (particle if closed else _PARTICLE_PAIRS[particle])


def _definition(passage: Passage, plain: tuple[str, ...]) -> str:
    """Return what the first sentence says of the subject, such as "미국의 39번째 대통령"."""
    first, about = plain[0] if plain else "", subject_of(passage.title)
    if not first.startswith(about) or not first.endswith("이다."):
        return ""
    topic, _, rest = first.removesuffix("이다.").partition(" ")
    if topic[-1:] not in ("은", "는") or not rest or about in rest:
        return ""
    return rest if "가" <= rest[-1] <= "힣" else ""


def _attributes(passage: Passage, plain: Iterable[str]) -> Iterator[tuple[str, str]]:
    for sentence in plain:
        if not sentence.startswith(passage.title) or not _COPULA.search(sentence):
            continue
        body = _COPULA.sub("", sentence.removeprefix(passage.title))
        # At the last 은 or 는: those before it belong to relative clauses.
        parts = _TOPIC.match(body)
        if not parts or _ADVERBIAL.search(parts[1]) or " " not in parts[1].strip():
            continue
        rest, value = parts.groups()
        if 0 < len(value) <= 20 and len(value.split()) <= 3 and len(rest.split()) <= 5:
            yield rest, value


def _dated(passage: Passage, plain: Iterable[str]) -> Iterator[tuple[str, int]]:
    about = subject_of(passage.title)
    for sentence in plain:
        years = _YEAR.findall(sentence)
        fitting = about in sentence and "~" not in sentence and 30 <= len(sentence) <= 160
        if len(years) == 1 and fitting and is_closed(sentence):
            yield _YEAR.sub("(   )", sentence, count=1), int(years[0])


def _events(plain: Iterable[str]) -> Iterator[tuple[int, str]]:
    for sentence in plain:
        dated = _DATED.match(sentence)
        event = sentence[dated.end() :] if dated else ""
        if dated and is_independent(event) and not _ANY_YEAR.search(event):
            yield int(dated[1]), event
