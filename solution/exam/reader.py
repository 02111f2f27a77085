"""The contest's CSV to an exam and back; every fault of a file is found and said at once."""

from __future__ import annotations

import csv
import re
import unicodedata
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from solution.core import ErrorCollector, UserError, atomic_write, log
from solution.exam.literal import NotLiteral, parse_mapping
from solution.exam.question import Exam, Question
from solution.exam.table import Row, Table, read_table, refuse_cp949

COLUMNS = ("id", "paragraph", "problems")
OPTIONAL = ("question_plus", "subject", "source")
KEYS = ("question", "choices", "answer", "question_plus")
FEWEST, MOST = 2, 10
UNWRITABLE = re.compile("[\0\ud800-\udfff]")
PRIVATE_USE = re.compile("[\ue000-\uf8ff\U000f0000-\U0010ffff]")
REMEDY = "Mend these rows and run the same command again; nothing was read from the file."


class _Fault(Exception):
    """What is wrong with one field of one row: `field: expected ..., found ...`."""


def read_exam(path: Path, *, answers: bool = False) -> Exam:
    """Read one exam; with `answers` every row must hold one (training data).

    `problems` may be a Python literal or JSON and is never evaluated. Text is brought to NFC
    with LF line ends and kept otherwise. A `question_plus` may stand in the column, inside
    `problems`, or in both where they are equal. Raises UserError listing every wrong row.
    """
    problems = ErrorCollector(str(path))
    table = read_table(path, problems, required=COLUMNS)
    refuse_cp949(table)
    ignored: Counter[str] = Counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # '\d' in a literal is no concern of the reader's
        questions = _questions(table, answers, problems, ignored)
    if not table.rows and not len(problems):
        raise UserError(f"{path}: holds a header but no questions. Give a file with rows.")
    problems.raise_if_any(REMEDY)
    _say_what_was_not_read(table, ignored)
    private = sum(1 for question in questions if PRIVATE_USE.search(_all_text(question)))
    return Exam(path, tuple(questions), table.sha256, private)


def write_exam(path: Path, questions: Sequence[Question]) -> None:
    """Write questions in the contest's layout; subject and source where a question has one."""
    extra = [name for name in OPTIONAL[1:] if any(getattr(q, name) for q in questions)]
    with atomic_write(path) as partial, partial.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([*COLUMNS, "question_plus", *extra])
        for q in questions:
            body: dict[str, Any] = {"question": q.question, "choices": list(q.choices)}
            body["answer"] = "" if q.answer is None else q.answer
            if q.question_plus.strip():
                body["question_plus"] = q.question_plus
            more = [getattr(q, name) for name in extra]
            writer.writerow([q.id, q.paragraph, repr(body), q.question_plus, *more])


def _questions(
    table: Table, answers: bool, problems: ErrorCollector, ignored: Counter[str]
) -> list[Question]:
    questions: list[Question] = []
    first: dict[str, Row] = {}
    for row in table.rows:
        id = row.fields["id"]
        try:
            question = _question(row, answers, ignored)
            if id in first:
                raise _Fault(f"id: stands already in {first[id]}; ids must differ")
            questions.append(question)
        except _Fault as fault:
            problems.add(f"{row}, {id or 'no id'}: {fault}")
        first.setdefault(id, row)
    return questions


def _question(row: Row, answers: bool, ignored: Counter[str]) -> Question:
    fields = {name: _clean(name, text) for name, text in row.fields.items()}
    # Its texts are brought to NFC once they are read: before that the "a" that ends an escape
    # might join a mark behind it.
    fields["problems"] = row.fields["problems"]
    id = row.fields["id"]  # as it stands: a submission must repeat it to the letter
    if not id or id != id.strip():
        raise _Fault(f"id: expected text without blanks around it, found {id!r}")
    body = _body(fields["problems"])
    ignored.update(f"problems.{key}" for key in body if key not in KEYS)
    choices = _choices(body.get("choices"))
    return Question(
        id=id,
        paragraph=fields["paragraph"],
        question=_question_text(body.get("question")),
        choices=choices,
        answer=_answer(body.get("answer"), len(choices), answers),
        question_plus=_question_plus(fields.get("question_plus", ""), body),
        subject=fields.get("subject", "").strip(),
        source=fields.get("source", "").strip(),
    )


def _body(text: str) -> dict[Any, Any]:
    try:
        return parse_mapping(text)
    except NotLiteral as error:
        raise _Fault(f"problems: {error}") from error


def _question_text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _Fault(f"problems.question: expected text, found {_show(value)}")
    return _clean("problems.question", value)


def _choices(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not FEWEST <= len(value) <= MOST:
        found = f"{len(value)}" if isinstance(value, list | tuple) else _show(value)
        raise _Fault(f"problems.choices: expected {FEWEST} to {MOST} choices, found {found}")
    for number, choice in enumerate(value, start=1):
        if not isinstance(choice, str) or not choice.strip():
            raise _Fault(
                f"problems.choices: expected text as choice {number}, found {_show(choice)}"
            )
    return tuple(_clean("problems.choices", choice) for choice in value)


def _answer(value: Any, choices: int, needed: bool) -> int | None:
    expected = f"problems.answer: expected a whole number from 1 to {choices}"
    if value is None or (isinstance(value, str) and not value.strip()):
        if needed:
            raise _Fault(f"{expected} (every row needs its answer here), found none")
        return None
    if isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,2}\s*", value):
        value = int(value)
    if type(value) is not int or not 1 <= value <= choices:
        raise _Fault(f"{expected}, found {_show(value)}")
    return value


def _question_plus(column: str, body: dict[Any, Any]) -> str:
    inside = body.get("question_plus")
    if inside is None:
        return column
    if not isinstance(inside, str):
        raise _Fault(f"problems.question_plus: expected text, found {_show(inside)}")
    inside = _clean("problems.question_plus", inside)
    if inside.strip() and column.strip() and inside.strip() != column.strip():
        raise _Fault(
            "question_plus: the column and the key inside problems differ; make them equal "
            f"or leave one blank (column {_show(column)}, problems {_show(inside)})"
        )
    return column if column.strip() else inside


def _clean(field: str, text: str) -> str:
    """NFC with LF line ends; refuses what no text file can hold."""
    if UNWRITABLE.search(text):
        raise _Fault(f"{field}: expected text, found a NUL character or half a surrogate pair")
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))


def _show(value: Any) -> str:
    if value is None:
        return "nothing"
    text = repr(value)  # repr escapes what cannot be printed, lone surrogates among it
    return text if len(text) <= 60 else f"{text[:57]}…"


def _all_text(q: Question) -> str:
    return "\n".join((q.paragraph, q.question, q.question_plus, *q.choices))


def _say_what_was_not_read(table: Table, ignored: Counter[str]) -> None:
    columns = [name for name in table.columns if name not in (*COLUMNS, *OPTIONAL)]
    parts = [f"column {name!r}" for name in columns]
    parts += [f"{key} ({count} rows)" for key, count in ignored.items()]
    if parts:
        log(f"{table.path}: not used: {', '.join(parts)}")
