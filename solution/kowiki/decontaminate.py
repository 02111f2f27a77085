"""Questions that stand in an exam, nearly or wholly, are found and left out.

Words are a poor unit in Korean, where particles and stray blanks change them; so characters are
compared, without blanks, marks and case.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from solution.exam import Question

GRAM = 3
ALIKE = 0.65
"""Share of character trigrams that two texts have in common (Dice), for the question and for
its choices: the same fact asked with other choices is not the same question."""
SPAN = 25
"""A passage that shares so many characters in a row with an exam's passage is its passage."""
BUCKETS = 1 << 22
CHUNK = 4096
_NO_TEXT = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class Neighbour:
    """The exam question nearest to a question; `alike` from 0 to 1; `passage` shared or not."""

    id: str
    alike: float
    passage: bool

    @property
    def is_leak(self) -> bool:
        """Whether the two are one question, or on one passage."""
        return self.passage or self.alike >= ALIKE


def nearest(questions: Sequence[Question], exam: Sequence[Question]) -> list[Neighbour]:
    """For every question its nearest one of the exam, by question and choices in any order.

    `exam` must hold a question. Memory: one float32 for each pair of a chunk.
    """
    theirs = [_grams([part(question) for question in exam]) for part in (_stem, _choices)]
    spans = _spans(exam)
    found = []
    for start in range(0, len(questions), CHUNK):
        chunk = questions[start : start + CHUNK]
        ours = [_grams([part(question) for question in chunk]) for part in (_stem, _choices)]
        alike = np.minimum(*(_shares(a, b) for a, b in zip(ours, theirs, strict=True)))
        best = alike.argmax(1)
        for row, place in enumerate(best.tolist()):
            question = chunk[row]
            other = _shared_passage(question, spans)
            named = exam[place].id if other is None else other
            score = round(float(alike[row, place]), 4)
            found.append(Neighbour(named, score, other is not None))
    return found


def _characters(text: str) -> str:
    return _NO_TEXT.sub("", unicodedata.normalize("NFKC", text)).casefold()


def _stem(question: Question) -> list[str]:
    return [question.question, question.question_plus]


def _choices(question: Question) -> list[str]:
    return list(question.choices)


def _shares(ours: Any, theirs: Any) -> Any:
    """Twice the trigrams in common over those of both (Dice) for each pair, (ours, theirs)."""
    sizes = [np.asarray(grams.sum(1)).ravel() for grams in (ours, theirs)]
    both = np.maximum(sizes[0][:, None] + sizes[1][None, :], 1)
    return 2 * (ours @ theirs.T).toarray() / both


def _grams(texts: Sequence[list[str]]) -> Any:
    """Trigrams of each text's parts as a binary matrix, (texts, BUCKETS), float32."""
    from scipy.sparse import csr_matrix

    columns: list[int] = []
    ends = [0]
    for parts in texts:
        grams: set[str] = set()
        for part in filter(None, parts):
            text = f"^{_characters(part)}$"
            grams.update(text[i : i + GRAM] for i in range(len(text) - GRAM + 1))
        columns += sorted({zlib.crc32(gram.encode()) % BUCKETS for gram in grams})
        ends.append(len(columns))
    data = np.ones(len(columns), dtype=np.float32)
    return csr_matrix((data, columns, ends), shape=(len(texts), BUCKETS))


def _spans(exam: Sequence[Question]) -> dict[str, str]:
    """Every SPAN characters of every passage, and whose they are."""
    spans: dict[str, str] = {}
    for question in exam:
        text = _characters(question.paragraph)
        for start in range(len(text) - SPAN + 1):
            spans.setdefault(text[start : start + SPAN], question.id)
    return spans


def _shared_passage(question: Question, spans: dict[str, str]) -> str | None:
    text = _characters(question.paragraph)
    for start in range(len(text) - SPAN + 1):
        if (other := spans.get(text[start : start + SPAN])) is not None:
            return other
    return None


def leaking(passages: Sequence[str], exam: Sequence[Question]) -> list[str | None]:
    """For every passage the exam question that it spells out, choices included, or None."""
    theirs = _grams([_stem(question) + _choices(question) for question in exam])
    sizes = np.maximum(np.asarray(theirs.sum(1)).ravel(), 1)
    found: list[str | None] = []
    for start in range(0, len(passages), CHUNK):
        ours = _grams([[passage] for passage in passages[start : start + CHUNK]])
        held = (ours @ theirs.T).toarray() / sizes[None, :]
        best = held.argmax(1)
        for row, place in enumerate(best.tolist()):
            found.append(exam[place].id if held[row, place] >= ALIKE else None)
    return found
