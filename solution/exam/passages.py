"""Which questions share a passage, and which stand in two exams."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from solution.exam.question import Exam, Question

ALIKE = 90  # percent; bounds in whole numbers, so that exactly 90 % is never rounded away
BUCKETS = 256


class Overlap(NamedTuple):
    """One question of a test exam that stands in a training exam too, by their ids.

    `exact` where not even white space or the order of the choices differs: a copied row. (One
    pair of the contest's own files is not exact: its author asked the same thing twice.)
    """

    train: str
    test: str
    exact: bool


def overlaps(train: Exam, test: Exam) -> list[Overlap]:
    """Every train question that is a test question too: same paragraph, question and choices.

    White space and the order of the choices make no difference; in the train exam's order.
    """
    asked: dict[tuple[str, str, tuple[str, ...]], list[Question]] = {}
    for question in test.questions:
        asked.setdefault(_identity(question), []).append(question)
    return [
        Overlap(ours.id, theirs.id, _letters(ours) == _letters(theirs))
        for ours in train.questions
        for theirs in asked.get(_identity(ours), [])
    ]


def content_hash(question: Question) -> str:
    """Sixteen hex digits, equal for what `overlaps` takes for one question."""
    return hashlib.sha256(repr(_identity(question)).encode()).hexdigest()[:16]


def near_duplicate_groups(questions: Sequence[Question]) -> list[int]:
    """One group number a question: questions whose paragraphs are at least 90 % alike share it.

    The measure is 2·LCS/(a+b) over the characters without white space, LCS being the longest
    common subsequence: never less than difflib's ratio or 1 - edit distance / longer length.
    It holds transitively. Blank paragraphs are each their own group. Exact and deterministic:
    two upper bounds (lengths, counts of characters) spare nearly every comparison (2,900
    contest rows take a third of a second; thousands of texts from one mould take longer).
    """
    texts = ["".join(question.paragraph.split()) for question in questions]
    distinct = sorted(set(texts) - {""}, key=lambda text: (len(text), text))
    family = dict(zip(distinct, _families(distinct), strict=True))
    numbers: dict[int, int] = {}
    keys = (family[text] if text else -1 - row for row, text in enumerate(texts))
    return [numbers.setdefault(key, len(numbers)) for key in keys]


def _families(texts: Sequence[str]) -> list[int]:
    """One number a text, the same for texts that are alike; `texts` are sorted by length."""
    import numpy as np

    family = np.arange(len(texts))
    lengths = np.array([len(text) for text in texts])
    counts = np.zeros((len(texts), BUCKETS), dtype=np.int32)
    for row, text in enumerate(texts):
        codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
        counts[row] = np.bincount(codes % BUCKETS, minlength=BUCKETS)
    for i, length in enumerate(lengths):
        # 2·LCS/(a+b) with LCS <= a: texts longer than this cannot be alike.
        stop = int(np.searchsorted(lengths, length * (200 - ALIKE) // ALIKE, side="right"))
        common = np.minimum(counts[i], counts[i + 1 : stop]).sum(axis=1)
        near = 200 * common >= ALIKE * (length + lengths[i + 1 : stop])
        elsewhere = family[i + 1 : stop] != family[i]
        for j in (i + 1 + np.flatnonzero(near & elsewhere)).tolist():
            if family[i] != family[j] and _alike(texts[i], texts[j]):
                family[family == family[j]] = family[i]
    return [int(number) for number in family]


def _alike(a: str, b: str) -> bool:
    return 200 * _longest_common(a, b) >= ALIKE * (len(a) + len(b))


def _longest_common(a: str, b: str) -> int:
    """Length of the longest common subsequence, by Hyyrö's bit-parallel recurrence (2004)."""
    places: dict[str, int] = {}
    for index, character in enumerate(a):
        places[character] = places.get(character, 0) | 1 << index
    full = (1 << len(a)) - 1
    row = full
    for place in filter(None, map(places.get, b)):
        matches = row & place
        row = ((row + matches) | (row - matches)) & full
    return len(a) - row.bit_count()


def _identity(question: Question) -> tuple[str, str, tuple[str, ...]]:
    paragraph, text = ("".join(t.split()) for t in (question.paragraph, question.question))
    return paragraph, text, tuple(sorted("".join(c.split()) for c in question.choices))


def _letters(question: Question) -> tuple[str, ...]:
    return question.paragraph, question.question, *question.choices
