"""Questions that share a passage, and questions that are in two exams."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from solution.exam.question import Exam, Question

MIN_SIMILARITY = 90  # percent; integers, so that exactly 90 % is never rounded away
BUCKETS = 256


class Overlap(NamedTuple):
    """A training question that is also a test question, by their ids."""

    train: str
    test: str


def overlaps(train: Exam, test: Exam) -> list[Overlap]:
    """Find every training question that is also a test question, in the training order.

    Compares paragraph, question, question_plus and choices without regard to white space and
    the order of the choices.
    """
    by_content: dict[str, list[str]] = {}
    for question in test.questions:
        by_content.setdefault(content_hash(question), []).append(question.id)
    return [
        Overlap(question.id, id)
        for question in train.questions
        for id in by_content.get(content_hash(question), [])
    ]


def content_hash(question: Question) -> str:
    """Return 16 hex digits, equal for questions that `overlaps` considers the same."""
    texts = (question.paragraph, question.question, question.question_plus)
    identity = (*map(_without_spaces, texts), sorted(map(_without_spaces, question.choices)))
    return hashlib.sha256(repr(identity).encode()).hexdigest()[:16]


def near_duplicate_groups(questions: Sequence[Question]) -> list[int]:
    """Return a group number per question, shared by paragraphs that are at least 90 % similar.

    Similarity is 2·LCS/(a+b) over characters without white space (LCS: longest common
    subsequence), and groups are its transitive closure. Blank paragraphs are not grouped.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    texts = [_without_spaces(question.paragraph) for question in questions]
    distinct = sorted(set(texts) - {""}, key=lambda text: (len(text), text))
    pairs = list(_similar_pairs(distinct))
    rows, columns = zip(*pairs, strict=True) if pairs else ((), ())
    size = len(distinct)
    graph = coo_array(([True] * len(pairs), (rows, columns)), shape=(size, size))
    labels = connected_components(graph, directed=False)[1] if size else ()
    component = dict(zip(distinct, map(int, labels), strict=True))
    keys = (component[text] if text else -1 - row for row, text in enumerate(texts))
    numbers: dict[int, int] = {}
    return [numbers.setdefault(key, len(numbers)) for key in keys]


def _similar_pairs(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield index pairs of similar texts, which are sorted by length.

    LCS is at most the shorter length and at most the number of common characters: these two
    bounds exclude nearly every pair before the exact distance is computed.
    """
    import numpy as np
    from rapidfuzz.distance import Indel

    lengths = np.array([len(text) for text in texts])
    counts = np.zeros((len(texts), BUCKETS), dtype=np.int32)
    for row, text in enumerate(texts):
        codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
        counts[row] = np.bincount(codes % BUCKETS, minlength=BUCKETS)
    for i, length in enumerate(lengths):
        longest = length * (200 - MIN_SIMILARITY) // MIN_SIMILARITY
        stop = int(np.searchsorted(lengths, longest, side="right"))
        common = np.minimum(counts[i], counts[i + 1 : stop]).sum(axis=1)
        total = length + lengths[i + 1 : stop]
        near = np.flatnonzero(200 * common >= MIN_SIMILARITY * total)
        for j in (i + 1 + near).tolist():
            size = len(texts[i]) + len(texts[j])
            distance = Indel.distance(texts[i], texts[j])  # insertions and deletions
            if 100 * (size - distance) >= MIN_SIMILARITY * size:
                yield i, j


def _without_spaces(text: str) -> str:
    return "".join(text.split())
