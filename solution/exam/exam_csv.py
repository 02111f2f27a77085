"""Exam files: rows to questions and back, all errors of a file in one message."""

from __future__ import annotations

import csv
import re
import unicodedata
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from solution.core import ErrorCollector, UserError, atomic_write, log
from solution.exam.csv_table import Row, read_table
from solution.exam.layouts import Layout, answer_number, choice_texts, is_missing, recognise
from solution.exam.literal import EXPECTED, ParseError, parse_literal
from solution.exam.question import Exam, Question, SubmissionFormat

COLUMNS = ("id", "paragraph", "problems")
KEYS = ("question", "choices", "answer", "question_plus")
MIN_CHOICES, MAX_CHOICES = 2, 10
UNWRITABLE = re.compile("[\0\ud800-\udfff]")
REMEDY = "Fix these rows and rerun; the file was not loaded."


class _Parsed(NamedTuple):
    """One row, its question without the answer, and what the answer fields hold."""

    row: Row
    question: Question
    given: list[Any]
    letters: bool


def read_exam(
    path: Path, *, answers: bool = False, columns: Mapping[str, str] | None = None
) -> Exam:
    """Read an exam; with `answers`, a row without an answer is an error (training data).

    Reads the contest's CSV and other people's layouts (see `layouts`); `columns` maps parts of
    a question to the file's columns. Text is normalised to NFC with LF line ends; missing
    values (nan, None, NULL, -) in `question_plus` and the paragraph are blank.

    Raises:
        UserError: Lists every wrong row.

    """
    problems = ErrorCollector(str(path))
    table = read_table(path, problems)
    layout = recognise(table, columns)
    ignored: Counter[str] = Counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python warns of '\d' in a literal
        parsed = _parse_rows(table.rows, layout, problems, ignored)
    by_text = _answers_are_texts(parsed)
    questions = []
    for row in parsed:
        try:
            answer = _answer(row, by_text, answers)
            questions.append(replace(row.question, answer=answer))
        except ParseError as error:
            problems.add(f"{row.row}, {row.question.id}: {error}")
    if not table.rows and not len(problems):
        raise UserError(f"{path}: holds a header but no questions. Give a file with rows.")
    problems.raise_if_any(REMEDY)
    notes = [table.format] * (table.format != "CSV") + [str(layout)] * bool(str(layout))
    notes += ["row numbers as ids"] * ("id" not in layout.columns)
    notes += ["answers are texts of choices"] * by_text
    notes += [f"{table.blank_rows} empty rows skipped"] * bool(table.blank_rows)
    notes += [f"{count} × {key}" for key, count in ignored.items()]
    unused = (name for name in table.columns if name not in layout.used())
    notes += [f"column {name!r} not used" for name in unused]
    if notes:
        log(f"{path}: {', '.join(notes)}")
    letters = layout.letters or all(row.letters for row in parsed)
    return Exam(path, tuple(questions), table.sha256, SubmissionFormat(letters=letters))


def write_exam(path: Path, questions: Sequence[Question]) -> None:
    """Write the contest's columns; subject and source where a question has one."""
    extra = [name for name in ("subject", "source") if any(getattr(q, name) for q in questions)]
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


def _parse_rows(
    rows: Sequence[Row], layout: Layout, problems: ErrorCollector, ignored: Counter[str]
) -> list[_Parsed]:
    parsed: list[_Parsed] = []
    first: dict[str, Row] = {}
    for row in rows:
        id = row.fields[layout.columns["id"]] if "id" in layout.columns else str(row.number)
        try:
            found = _parse_row(row, id, layout, ignored)
            if id in first:
                raise ParseError(f"duplicate id (first used in {first[id]})")
            parsed.append(found)
        except ParseError as error:
            problems.add(f"{row}, {id or 'no id'}: {error}")
        first.setdefault(id, row)
    return parsed


def _parse_row(row: Row, id: str, layout: Layout, ignored: Counter[str]) -> _Parsed:
    # The id is not normalised: a submission repeats it exactly. `problems` is normalised after
    # parsing: NFC could join the "a" that ends an escape with a combining mark behind it.
    if not id or id != id.strip():
        raise ParseError(f"id: expected text without surrounding blanks, found {id!r}")
    fields = {part: row.fields[column] for part, column in layout.columns.items()}
    body, prefix = _body(row, fields, layout)
    ignored.update(f"unused key {key} in problems" for key in body if key not in KEYS)
    question = body.get("question")
    if not isinstance(question, str) or not question.strip():
        raise ParseError(f"{prefix}question: expected text, found {_show(question)}")
    value, letters = choice_texts(body.get("choices"))
    return _Parsed(
        row,
        Question(
            id=id,
            paragraph=_present("paragraph", fields.get("paragraph", ""), ignored),
            question=_clean(f"{prefix}question", question),
            choices=_choices(value, f"{prefix}choices", ignored),
            question_plus=_present("question_plus", _question_plus(fields, body), ignored),
            subject=_clean("subject", fields.get("subject", "")).strip(),
            source=_clean("source", fields.get("source", "")).strip(),
        ),
        [v for v in (body.get("answer"), fields.get("answer")) if not _blank(v)],
        letters,
    )


def _body(row: Row, fields: dict[str, str], layout: Layout) -> tuple[dict[Any, Any], str]:
    """Return the row with the keys of `problems`, and the prefix of their names."""
    if "problems" in fields:
        body = _literal("problems", fields["problems"])
        if not isinstance(body, dict):
            raise ParseError(f"problems: {EXPECTED}, found a {type(body).__name__}")
        return body, "problems."
    choices: Any = [row.fields[name] for name in layout.choices]
    while choices and (not choices[-1].strip() or is_missing(choices[-1])):
        choices.pop()
    if not layout.choices:
        choices = _literal("choices", fields["choices"])
    return {"question": fields["question"], "choices": choices}, ""


def _literal(field: str, text: str) -> Any:
    try:
        return parse_literal(text)
    except ParseError as error:
        raise ParseError(f"{field}: {error}") from error


def _blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _present(field: str, text: str, ignored: Counter[str]) -> str:
    """Return the clean text, blank where it is a missing value of another program."""
    if not is_missing(text):
        return _clean(field, text)
    ignored[f"{field} {text.strip()!r}, taken as blank"] += 1
    return ""


def _choices(value: Any, field: str, ignored: Counter[str]) -> tuple[str, ...]:
    expected = f"{field}: expected {MIN_CHOICES} to {MAX_CHOICES} choices"
    if not isinstance(value, list | tuple):
        raise ParseError(f"{expected}, found {_show(value)}")
    if not MIN_CHOICES <= len(value) <= MAX_CHOICES:
        raise ParseError(f"{expected}, found {len(value)}")
    for number, choice in enumerate(value, start=1):
        if not isinstance(choice, str) or choice.strip() in ("", "nan", "NaN"):
            raise ParseError(
                f"{field}: expected text as choice {number}, found {_show(choice)}"
            )
        if is_missing(choice):
            ignored[f"choice {choice!r}, kept as text"] += 1
    return tuple(_clean(field, choice) for choice in value)


def _answers_are_texts(rows: Sequence[_Parsed]) -> bool:
    """Whether every answer is the text of a choice, and one can be nothing else."""
    found = [(str(v).strip(), row.question.choices) for row in rows for v in row.given]
    certain = (not 1 <= (answer_number(text) or 0) <= len(own) for text, own in found)
    return all(text in own for text, own in found) and any(certain)


def _answer(row: _Parsed, by_text: bool, needed: bool) -> int | None:
    choices, given = row.question.choices, row.given
    expected = f"answer: expected a whole number from 1 to {len(choices)}"
    if not given:
        if needed:
            raise ParseError(f"{expected} (training data), found none")
        return None
    numbers = []
    for value in given:
        text = str(value).strip() if isinstance(value, int | str) and value is not True else ""
        same = [n for n, choice in enumerate(choices, start=1) if choice.strip() == text]
        number = answer_number(text)
        if len(same) == 1 and (by_text or number is None or text.isalpha()):
            number = same[0]
        if number == 0:
            raise ParseError(f"{expected}, found 0: count the answers from 1, not from 0")
        if number is None or number > len(choices):
            raise ParseError(f"{expected}, found {_show(value)}")
        numbers.append(number)
    if len(set(numbers)) > 1:
        raise ParseError(
            f"answer: the column and the key in `problems` differ ({_show(given)})"
        )
    return numbers[0]


def _question_plus(fields: Mapping[str, str], body: dict[Any, Any]) -> str:
    column, inside = fields.get("question_plus", ""), body.get("question_plus")
    if inside is None:
        return column
    if not isinstance(inside, str):
        raise ParseError(f"problems.question_plus: expected text, found {_show(inside)}")
    if (
        inside.strip()
        and column.strip()
        and _clean("", inside.strip()) != _clean("", column.strip())
    ):
        raise ParseError(
            "question_plus: the column and the key in `problems` differ; make them equal or "
            f"leave one blank (column {_show(column)}, problems {_show(inside)})"
        )
    return column if column.strip() else inside


def _clean(field: str, text: str) -> str:
    """Normalise to NFC with LF line ends; reject what no text file can hold."""
    if UNWRITABLE.search(text):
        raise ParseError(f"{field}: expected text, found NUL or half a surrogate pair")
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))


def _show(value: Any) -> str:
    if value is None:
        return "nothing"
    text = repr(value)  # escapes what cannot be printed, lone surrogates included
    return text if len(text) <= 60 else f"{text[:57]}…"
