"""Answer keys: the right choice of each question and its half of the leaderboard."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from solution.core import ErrorCollector, UserError, atomic_write
from solution.exam.csv_table import Row, read_table
from solution.exam.exam_csv import MAX_CHOICES
from solution.exam.layouts import answer_number
from solution.exam.question import Exam, Question

PUBLIC, PRIVATE = "Public", "Private"
REMEDY = "An answer key has one row per question: id,answer,Usage (Usage Public or Private)."


@dataclass(frozen=True)
class AnswerKey:
    """The right answer (from 1) and the usage (`Public` or `Private`) of every id."""

    answers: dict[str, int]
    usage: dict[str, str]


def read_answer_key(path: Path) -> AnswerKey:
    """Read `id,answer,Usage`; raise UserError listing every wrong row."""
    problems = ErrorCollector(str(path))
    table = read_table(path, problems, required=("id", "answer", "Usage"))
    key = AnswerKey({}, {})
    for row in table.rows:
        error = _add_row(row, key)
        if error:
            problems.add(f"{row}, {row.fields['id'].strip() or 'no id'}: {error}")
    if not table.rows and not len(problems):
        raise UserError(f"{path}: holds a header but no rows. {REMEDY}")
    problems.raise_if_any(REMEDY)
    return key


def write_answer_key(path: Path, key: AnswerKey) -> None:
    """Write `id,answer,Usage` in the order of the answers."""
    with atomic_write(path) as partial, partial.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["id", "answer", "Usage"])
        writer.writerows([id, answer, key.usage[id]] for id, answer in key.answers.items())


def with_answers(exam: Exam, key: AnswerKey) -> Exam:
    """Return the exam with the key's answers.

    Raises:
        UserError: An id is missing on one side, an answer exceeds the row's choices, or the
            exam already holds another answer.

    """
    problems = ErrorCollector(str(exam.path))
    for id in key.answers.keys() - {question.id for question in exam.questions}:
        problems.add(f"{id}: in the answer key but not in the exam")
    for question in exam.questions:
        error = _mismatch(question, key.answers.get(question.id))
        if error:
            problems.add(f"{question.id}: {error}")
    problems.raise_if_any("Give the answer key of this exam.")
    answered = (replace(q, answer=key.answers[q.id]) for q in exam.questions)
    return replace(exam, questions=tuple(answered))


def public_private_split(ids: Sequence[str], seed: int = 0) -> dict[str, str]:
    """Assign `Public` to floor(n/2) ids and `Private` to the others.

    Depends only on the set of ids and the seed, not on their order or the machine.
    """
    ranked = sorted(ids, key=lambda id: hashlib.sha256(f"{seed}:{id}".encode()).digest())
    public = set(ranked[: len(ranked) // 2])
    return {id: PUBLIC if id in public else PRIVATE for id in ids}


def _add_row(row: Row, key: AnswerKey) -> str:
    id, answer, usage = (row.fields[name].strip() for name in ("id", "answer", "Usage"))
    if not id:
        return "id: expected text, found nothing"
    if id in key.answers:
        return "duplicate id"
    number = answer_number(answer)
    if number is None or not 1 <= number <= MAX_CHOICES:
        return f"answer: expected 1 to {MAX_CHOICES} or a letter, found {answer!r}"
    if usage not in (PUBLIC, PRIVATE):
        return f"Usage: expected {PUBLIC} or {PRIVATE}, found {usage!r}"
    key.answers[id], key.usage[id] = number, usage
    return ""


def _mismatch(question: Question, answer: int | None) -> str:
    if answer is None:
        return "in the exam but not in the answer key"
    if answer > len(question.choices):
        return f"the key's answer is {answer}, the row has {len(question.choices)} choices"
    if question.answer not in (None, answer):
        return f"the key's answer is {answer}, the exam's {question.answer}"
    return ""
