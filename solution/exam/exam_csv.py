"""Exam files: rows to questions and back, all errors of a file in one message."""

from __future__ import annotations

import ast
import csv
import io
import json
import re
import tokenize
import unicodedata
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from solution.core import ErrorCollector, UserError, atomic_write, log
from solution.exam.csv_table import Row, read_table, refuse_cp949
from solution.exam.layouts import answer_number, contest_row, is_missing, recognise
from solution.exam.question import Exam, Question, SubmissionFormat

COLUMNS = ("id", "paragraph", "problems")
OPTIONAL = ("question_plus", "subject", "source")
KEYS = ("question", "choices", "answer", "question_plus")
MIN_CHOICES, MAX_CHOICES = 2, 10
MAX_PROBLEMS = 200_000  # characters; the contest's longest `problems` has 1,170
EXPECTED = "expected a Python dict of texts, lists and numbers, or JSON"
UNWRITABLE = re.compile("[\0\ud800-\udfff]")
# What other programs leave in `problems`, which is no literal.
FOREIGN = {
    r"\bnan\b": "nan, a missing value that pandas wrote: fill it before saving",
    r"\barray\(": "array(…), a numpy array: save lists (.tolist())",
    r"\b(np|numpy)\.\w+": "a numpy number such as np.int64(…): convert it by int()",
}
REMEDY = "Fix these rows and rerun; the file was not loaded."


class ParseError(Exception):
    """An invalid field of one row: `field: expected ..., found ...`."""


def read_exam(
    path: Path, *, answers: bool = False, columns: Mapping[str, str] | None = None
) -> Exam:
    """Read an exam; with `answers`, a row without an answer is an error (training data).

    Reads the contest's CSV and other people's layouts (see `layouts`); `columns` maps parts of
    a question to the file's columns. `problems` is a Python literal or JSON and is never
    evaluated. Text is normalised to NFC with LF line ends. `question_plus` may be a column, a
    key of `problems`, or both if equal; missing values (nan, None, NULL, -) in it and in the
    paragraph are blank.

    Raises:
        UserError: Lists every wrong row.

    """
    problems = ErrorCollector(str(path))
    table = read_table(path, problems)
    refuse_cp949(table)
    layout = recognise(table, columns)
    ignored: Counter[str] = Counter()
    rows = [contest_row(row, layout) for row in table.rows]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python warns of '\d' in a literal
        questions = _parse_rows(rows, answers, problems, ignored)
    if not table.rows and not len(problems):
        raise UserError(f"{path}: holds a header but no questions. Give a file with rows.")
    problems.raise_if_any(REMEDY)
    notes = [table.format] * (table.format != "CSV") + [str(layout)] * bool(str(layout))
    notes += ["row numbers as ids"] * ("id" not in layout.columns)
    notes += [f"{table.blank_rows} empty rows skipped"] * bool(table.blank_rows)
    notes += [f"{count} × {key}" for key, count in ignored.items()]
    notes += [
        f"column {name!r} not used" for name in table.columns if name not in layout.used()
    ]
    if notes:
        log(f"{path}: {', '.join(notes)}")
    form = SubmissionFormat(letters=layout.letters)
    return Exam(path, tuple(questions), table.sha256, form)


def write_exam(path: Path, questions: Sequence[Question]) -> None:
    """Write the contest's columns; subject and source where a question has one."""
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


def parse_mapping(text: str) -> dict[Any, Any]:
    r"""Parse a dict in JSON or as a Python literal; raise ParseError for anything else.

    JSON is tried first: its escapes (`\/`, surrogate pairs) mean something else in Python.
    """
    if len(text) > MAX_PROBLEMS:
        raise ParseError(f"{EXPECTED}, at most {MAX_PROBLEMS} characters; found {len(text)}")
    if not text.strip():
        raise ParseError(f"{EXPECTED}, found nothing")
    try:
        value = json.loads(text, object_pairs_hook=_unique_keys)
    except (ValueError, RecursionError):
        value = _python_literal(text)
    if not isinstance(value, dict):
        raise ParseError(f"{EXPECTED}, found a {type(value).__name__}")
    return value


def _python_literal(text: str) -> Any:
    for pattern, what in FOREIGN.items():
        if re.search(pattern, _outside_texts(text)):
            raise ParseError(f"{EXPECTED}, found {what}")
    try:
        tree = ast.parse(text.strip(), mode="eval")
        if isinstance(tree.body, ast.Dict):
            keys = [key.value for key in tree.body.keys if isinstance(key, ast.Constant)]
            _unique_keys([(key, None) for key in keys])
        return ast.literal_eval(tree)
    except SyntaxError as error:
        raise ParseError(f"{EXPECTED}; cannot be parsed: {error.msg}") from error
    except (ValueError, TypeError) as error:
        raise ParseError(f"{EXPECTED}, found code or names in it, which are not run") from error
    except (MemoryError, RecursionError) as error:
        raise ParseError(f"{EXPECTED}; too deeply nested") from error


def _outside_texts(text: str) -> str:
    """Return the literal without its strings; two strings in a row lack a comma.

    Python would join them: a numpy array of choices prints so (['a' 'b']).
    """
    kept: list[str] = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.STRING and kept and kept[-1] == "''":
                raise ParseError(
                    f"{EXPECTED}, found two texts without a comma between them, as numpy "
                    "prints arrays: save lists (.tolist())"
                )
            if token.type not in (tokenize.NL, tokenize.COMMENT):
                kept.append("''" if token.type == tokenize.STRING else token.string)
    except (tokenize.TokenError, SyntaxError):
        pass  # the parser names the place
    return "".join(kept)


def _unique_keys(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    for key, count in Counter(key for key, _ in pairs).items():
        if count > 1:
            raise ParseError(f"duplicate key {key!r}")
    return dict(pairs)


def _parse_rows(
    rows: Sequence[Row], answers: bool, problems: ErrorCollector, ignored: Counter[str]
) -> list[Question]:
    questions: list[Question] = []
    first: dict[str, Row] = {}
    for row in rows:
        id = row.fields["id"]
        try:
            question = _parse_row(row, answers, ignored)
            if id in first:
                raise ParseError(f"duplicate id (first used in {first[id]})")
            questions.append(question)
        except ParseError as error:
            problems.add(f"{row}, {id or 'no id'}: {error}")
        first.setdefault(id, row)
    return questions


def _parse_row(row: Row, answers: bool, ignored: Counter[str]) -> Question:
    # `problems` is normalised after parsing: NFC could join the "a" that ends an escape
    # with a combining mark behind it.
    fields = {k: text if k == "problems" else _clean(k, text) for k, text in row.fields.items()}
    id = row.fields["id"]  # not normalised: a submission repeats it exactly
    if not id or id != id.strip():
        raise ParseError(f"id: expected text without surrounding blanks, found {id!r}")
    try:
        body = parse_mapping(fields["problems"])
    except ParseError as error:
        raise ParseError(f"problems: {error}") from error
    ignored.update(f"unused key {key} in problems" for key in body if key not in KEYS)
    question, choices = body.get("question"), _choices(body.get("choices"), ignored)
    if not isinstance(question, str) or not question.strip():
        raise ParseError(f"problems.question: expected text, found {_show(question)}")
    return Question(
        id=id,
        paragraph=_present("paragraph", fields["paragraph"], ignored),
        question=_clean("problems.question", question),
        choices=choices,
        answer=_answer(body.get("answer"), fields.get("answer", ""), choices, answers),
        question_plus=_present(
            "question_plus", _question_plus(fields.get("question_plus", ""), body), ignored
        ),
        subject=fields.get("subject", "").strip(),
        source=fields.get("source", "").strip(),
    )


def _present(field: str, text: str, ignored: Counter[str]) -> str:
    """Return the text, blank where it is a missing value of another program."""
    if not is_missing(text):
        return text
    ignored[f"{field} {text.strip()!r}, taken as blank"] += 1
    return ""


def _choices(value: Any, ignored: Counter[str]) -> tuple[str, ...]:
    expected = f"problems.choices: expected {MIN_CHOICES} to {MAX_CHOICES} choices"
    if isinstance(value, dict) and isinstance(value.get("text"), list):
        value = value["text"]  # as ARC and CommonsenseQA have them: {text: [...], label: [...]}
    if not isinstance(value, list | tuple):
        raise ParseError(f"{expected}, found {_show(value)}")
    if not MIN_CHOICES <= len(value) <= MAX_CHOICES:
        raise ParseError(f"{expected}, found {len(value)}")
    for number, choice in enumerate(value, start=1):
        if not isinstance(choice, str) or choice.strip() in ("", "nan", "NaN"):
            raise ParseError(
                f"problems.choices: expected text as choice {number}, found {_show(choice)}"
            )
        if is_missing(choice):
            ignored[f"choice {choice!r}, kept as text"] += 1
    return tuple(_clean("problems.choices", choice) for choice in value)


def _answer(value: Any, column: str, choices: tuple[str, ...], needed: bool) -> int | None:
    expected = f"problems.answer: expected a whole number from 1 to {len(choices)}"
    given = [
        v for v in (value, column) if not (v is None or (isinstance(v, str) and not v.strip()))
    ]
    if not given:
        if needed:
            raise ParseError(f"{expected} (training data), found none")
        return None
    numbers = [
        answer_number(str(v), choices) if isinstance(v, int | str) and v is not True else None
        for v in given
    ]
    if 0 in numbers:
        raise ParseError(f"{expected}, found 0: answers that count from 0 must be raised by 1")
    for shown, number in zip(given, numbers, strict=True):
        if number is None or not 1 <= number <= len(choices):
            raise ParseError(f"{expected}, found {_show(shown)}")
    if len(set(numbers)) > 1:
        raise ParseError(
            f"answer: the column ({_show(column)}) and the key in `problems` "
            f"({_show(value)}) differ"
        )
    return numbers[0]


def _question_plus(column: str, body: dict[Any, Any]) -> str:
    inside = body.get("question_plus")
    if inside is None:
        return column
    if not isinstance(inside, str):
        raise ParseError(f"problems.question_plus: expected text, found {_show(inside)}")
    inside = _clean("problems.question_plus", inside)
    if inside.strip() and column.strip() and inside.strip() != column.strip():
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
