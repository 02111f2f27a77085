"""Near-duplicates and decontamination by character n-grams.

Words are a poor unit in Korean, where particles and spacing change them: characters are
compared, without blanks, punctuation and case.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from solution.exam import Question

ALIKE = 0.65
"""Dice of the trigrams of both stem and choices: the same fact asked with other choices is
another question."""
REPEATED = 0.8
"""Jaccard of the 4-grams from which two generated questions are the same."""
SPAN = 25
"""Characters in a row that two texts share only where one was copied from the other."""
COMMON = 500
"""4-grams of more texts do not tell which texts are alike."""
BUCKETS = 1 << 22
CHUNK = 4096
_NO_TEXT = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class Neighbour:
    """The exam question nearest to a question."""

    id: str
    similarity: float
    """Of stem (with its 보기) and choices, the smaller of the two, in 0..1."""
    shares_text: bool
    """Whether a passage, 보기 or choice of one contains a text of the other."""

    @property
    def is_leak(self) -> bool:
        """Whether the two are one question, or one is made of the other's text."""
        return self.shares_text or self.similarity >= ALIKE


class NgramIndex:
    """The n-grams of every part of an exam's questions: paragraph, stem, 보기 and choices."""

    def __init__(self, exam: Sequence[Question]) -> None:
        self.exam = exam
        self._parts = [_grams(map(part, exam), 3) for part in (_stem, _choices)]
        self._whole = _grams((_stem(q) + _choices(q) for q in exam), 3)
        self._spans: dict[str, str] = {}
        for question in exam:
            for span in _spans(_texts(question)):
                self._spans.setdefault(span, question.id)

    def nearest(self, questions: Sequence[Question]) -> list[Neighbour]:
        """Return the nearest exam question of every question; the exam must hold one."""
        found = []
        for start in range(0, len(questions), CHUNK):
            chunk = questions[start : start + CHUNK]
            ours = [_grams(map(part, chunk), 3) for part in (_stem, _choices)]
            alike = np.minimum(*map(_dice, ours, self._parts))
            for question, row in zip(chunk, alike, strict=True):
                place = int(row.argmax())
                # Also its stem: it may quote an exam's passage.
                other = self._copied([*_texts(question), question.question])
                similarity = round(float(row[place]), 4)
                found.append(
                    Neighbour(other or self.exam[place].id, similarity, other is not None)
                )
        return found

    def leaking(self, texts: Sequence[str]) -> list[str | None]:
        """Return for every text the exam question that it spells out, or None."""
        sizes = np.maximum(np.asarray(self._whole.sum(1)).ravel(), 1)
        found: list[str | None] = []
        for start in range(0, len(texts), CHUNK):
            ours = _grams(([text] for text in texts[start : start + CHUNK]), 3)
            share = (ours @ self._whole.T).toarray() / sizes[None, :]
            best = share.argmax(1)
            leaks = share[np.arange(len(best)), best] >= ALIKE
            found += [
                self.exam[i].id if leak else None for i, leak in zip(best, leaks, strict=True)
            ]
        return found

    def _copied(self, texts: Iterable[str]) -> str | None:
        found = (self._spans.get(span) for span in _spans(texts))
        return next((other for other in found if other is not None), None)


def nearest(questions: Sequence[Question], exam: Sequence[Question]) -> list[Neighbour]:
    """Return for every question its nearest one of the exam; see `NgramIndex`."""
    return NgramIndex(exam).nearest(questions)


def leaked_ids(questions: Sequence[Question], exam: Sequence[Question]) -> set[str]:
    """Return the ids of the questions that the exam holds, nearly or wholly."""
    if not exam:
        return set()
    pairs = zip(questions, nearest(questions, exam), strict=True)
    return {question.id for question, other in pairs if other.is_leak}


def leaking(texts: Sequence[str], exam: Sequence[Question]) -> list[str | None]:
    """Return for every text the exam question that it spells out, choices included, or None."""
    return NgramIndex(exam).leaking(texts)


def repeated(texts: Sequence[str]) -> list[bool]:
    """Return for each text whether an earlier one, itself no repetition, is nearly equal."""
    grams = _grams(([text] for text in texts), 4)
    rare = grams[:, np.flatnonzero(np.asarray(grams.sum(0)).ravel() <= COMMON)]
    sizes, rare_sizes = (np.asarray(one.sum(1)).ravel() for one in (grams, rare))
    near: defaultdict[int, list[int]] = defaultdict(list)
    for start in range(0, len(texts), CHUNK):
        pairs = (rare[start : start + CHUNK] @ rare.T).tocoo()
        rows, columns = pairs.row + start, pairs.col
        least = REPEATED / 2 * np.maximum(rare_sizes[rows], rare_sizes[columns])
        likely = (columns < rows) & (pairs.data >= least)
        rows, columns = rows[likely], columns[likely]
        both = np.asarray(grams[rows].multiply(grams[columns]).sum(1)).ravel()
        equal = both >= REPEATED * (sizes[rows] + sizes[columns] - both)
        for row, column in zip(rows[equal].tolist(), columns[equal].tolist(), strict=True):
            near[row].append(column)
    found: list[bool] = []
    for row in range(len(texts)):
        found.append(any(not found[column] for column in near[row]))
    return found


def _characters(text: str) -> str:
    return _NO_TEXT.sub("", unicodedata.normalize("NFKC", text)).casefold()


def _stem(question: Question) -> list[str]:
    return [question.question, question.question_plus]


def _choices(question: Question) -> list[str]:
    return list(question.choices)


def _texts(question: Question) -> list[str]:
    return [question.paragraph, question.question_plus, *question.choices]


def _spans(texts: Iterable[str]) -> Iterable[str]:
    for text in map(_characters, texts):
        yield from (text[i : i + SPAN] for i in range(len(text) - SPAN + 1))


def _dice(ours: Any, theirs: Any) -> Any:
    """Return twice the grams in common over those of both for each pair, (ours, theirs)."""
    sizes = [np.asarray(grams.sum(1)).ravel() for grams in (ours, theirs)]
    both = np.maximum(sizes[0][:, None] + sizes[1][None, :], 1)
    return 2 * (ours @ theirs.T).toarray() / both


def _grams(texts: Iterable[Sequence[str]], size: int) -> Any:
    """Return the n-grams of each text's parts as a binary matrix, (texts, BUCKETS), float32."""
    from scipy.sparse import csr_matrix

    columns: list[int] = []
    ends = [0]
    for parts in texts:
        grams: set[str] = set()
        for part in filter(None, parts):
            text = f"^{_characters(part)}$"
            grams.update(text[i : i + size] for i in range(max(1, len(text) - size + 1)))
        columns += sorted({zlib.crc32(gram.encode()) % BUCKETS for gram in grams})
        ends.append(len(columns))
    data = np.ones(len(columns), dtype=np.float32)
    return csr_matrix((data, columns, ends), shape=(len(ends) - 1, BUCKETS))
