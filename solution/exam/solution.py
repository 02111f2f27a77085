"""The key of an exam: which choice is right, and which half of the board a row counts for."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from solution.core import ErrorCollector, UserError, atomic_write
from solution.exam.question import Exam, Question
from solution.exam.reader import MOST
from solution.exam.table import Row, read_table, refuse_cp949

PUBLIC, PRIVATE = "Public", "Private"
REMEDY = "A solution holds one row an exam row: id,answer,Usage (Usage Public or Private)."


@dataclass(frozen=True)
class AnswerKey:
    """The right answer (from 1) and the half (`Public` or `Private`) of every id."""

    answers: dict[str, int]
    usage: dict[str, str]


def read_answer_key(path: Path) -> AnswerKey:
    """Read `id,answer,Usage`; raises UserError listing every wrong row."""
    problems = ErrorCollector(str(path))
    table = read_table(path, problems, required=("id", "answer", "Usage"))
    refuse_cp949(table)
    solution = AnswerKey({}, {})
    for row in table.rows:
        _add_row(row, solution, problems)
    if not table.rows and not len(problems):
        raise UserError(f"{path}: holds a header but no rows. {REMEDY}")
    problems.raise_if_any(REMEDY)
    return solution


def write_answer_key(path: Path, solution: AnswerKey) -> None:
    """Write `id,answer,Usage` in the order of the answers."""
    with atomic_write(path) as partial, partial.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["id", "answer", "Usage"])
        for id, answer in solution.answers.items():
            writer.writerow([id, answer, solution.usage[id]])


def with_answers(exam: Exam, solution: AnswerKey) -> Exam:
    """The exam with the key's answers filled in.

    Raises UserError where an id stands on one side only, an answer is beyond its row's choices,
    or the exam already holds another answer.
    """
    problems = ErrorCollector(str(exam.path))
    ids = {question.id for question in exam.questions}
    for id in solution.answers:
        if id not in ids:
            problems.add(f"{id}: stands in the solution but not in the exam")
    for question in exam.questions:
        fault = _against_key(question, solution.answers.get(question.id))
        if fault:
            problems.add(f"{question.id}: {fault}")
    problems.raise_if_any("Give the solution that belongs to this exam.")
    answered = (replace(q, answer=solution.answers[q.id]) for q in exam.questions)
    return replace(exam, questions=tuple(answered))


def public_private_split(ids: Sequence[str], seed: int = 0) -> dict[str, str]:
    """Public or Private for each id: floor(n/2) Public, the rest Private.

    Depends on the set of ids and the seed alone, not on their order, machine or version.
    """
    ranked = sorted(ids, key=lambda id: hashlib.sha256(f"{seed}:{id}".encode()).digest())
    public = set(ranked[: len(ranked) // 2])
    return {id: PUBLIC if id in public else PRIVATE for id in ids}


def _add_row(row: Row, solution: AnswerKey, problems: ErrorCollector) -> None:
    id, answer, usage = (row.fields[name].strip() for name in ("id", "answer", "Usage"))
    place = f"{row}, {id or 'no id'}"
    if not id or id in solution.answers:
        problems.add(f"{place}: id: expected text that stands in no other row")
        return
    if not re.fullmatch(r"[0-9]{1,2}", answer) or not 1 <= int(answer) <= MOST:
        problems.add(f"{place}: answer: expected 1 to {MOST}, found {answer!r}")
        return
    if usage not in (PUBLIC, PRIVATE):
        problems.add(f"{place}: Usage: expected {PUBLIC} or {PRIVATE}, found {usage!r}")
        return
    solution.answers[id] = int(answer)
    solution.usage[id] = usage


def _against_key(question: Question, answer: int | None) -> str:
    if answer is None:
        return "stands in the exam but not in the solution"
    if answer > len(question.choices):
        return f"the solution says {answer}, the row has {len(question.choices)} choices"
    if question.answer not in (None, answer):
        return f"the solution says {answer}, the exam itself {question.answer}"
    return ""
