"""Submission CSVs: the format a contest asks for, reading with all errors, writing."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from string import ascii_uppercase
from typing import TYPE_CHECKING

from solution.core import ErrorCollector, UserError, log
from solution.exam import (
    AnswerKey,
    Exam,
    Row,
    SubmissionFormat,
    Table,
    public_private_split,
    read_exam,
    read_table,
)

if TYPE_CHECKING:
    from solution.scoring import ChoiceScores

SUBMISSION, PUBLIC, PRIVATE = "submission.csv", "public.csv", "private.csv"
LABELS = {True: "a letter from A to J", False: "a whole number"}
EXAMPLES = 3


def read_target(exam: Path, sample: Path | None = None) -> Exam:
    """Read the exam to submit to; a sample submission gives columns, order and labels.

    Raises UserError if the sample has not one column of the exam's ids and one of answers.
    """
    questions = read_exam(exam)
    if sample is None:
        return questions
    problems = ErrorCollector(str(sample))
    table = read_table(sample, problems)
    problems.raise_if_any("Give the contest's sample submission.")
    by_id = {question.id: question for question in questions.questions}
    ids = sorted(next(iter(row.fields.values())) for row in table.rows)
    if len(table.columns) != 2 or ids != sorted(by_id):
        differ = sorted(set(ids) ^ set(by_id))[:EXAMPLES]
        raise UserError(
            f"{sample}: expected two columns, the {len(by_id)} ids of {exam} and the answers; "
            f"found {len(ids)} rows of {', '.join(table.columns)[:200]}; ids in only one of "
            f"the files: {', '.join(differ) or 'none'}."
        )
    form = replace(format_of(table, questions.submission.letters), sample=sample)
    zero = {row.fields[form.columns[1]] for row in table.rows} & {"0", "0.0"}
    log(
        f"{sample}: {','.join(form.columns)}, {form.ranks} × {LABELS[form.letters]} per row"
        + "; its 0 is taken as a placeholder, answers are written from 1" * bool(zero)
    )
    ordered = tuple(by_id[row.fields[form.columns[0]]] for row in table.rows)
    return replace(questions, questions=ordered, submission=form)


def format_of(table: Table, letters: bool = False) -> SubmissionFormat:
    """Return the format of a table of ids and answers; `letters` if its answers are blank."""
    id, answer = table.columns
    cells = [row.fields[answer].split() for row in table.rows]
    labels = {label for cell in cells for label in cell}
    if labels:
        letters = all(re.fullmatch("[A-J]", label) for label in labels)
    return SubmissionFormat((id, answer), letters, max(1, *map(len, cells)))


def read_submission(file: Path, exam: Exam) -> tuple[dict[str, int], bool]:
    """Return the answers in the exam's order, and whether the file has a byte order mark.

    Raises UserError with every problem of the file.
    """
    problems = ErrorCollector(str(file))
    table = read_table(file, problems)
    choices = {q.id: len(q.choices) for q in exam.questions}
    answers = check_rows(table, choices, problems, exam.submission)
    problems.raise_if_any(
        f"Expected columns {','.join(exam.submission.columns)}, one row per question in the "
        "exam's order (or that of --sample), UTF-8."
    )
    return answers, table.byte_order_mark


def check_rows(
    table: Table,
    choices: Mapping[str, int],
    problems: ErrorCollector,
    form: SubmissionFormat,
) -> dict[str, int]:
    """Return the answer of every id; add one line per kind of problem to `problems`.

    `choices` maps every expected id to its number of choices, in the expected order.
    """
    if table.columns != form.columns:
        found, wanted = ",".join(table.columns)[:100], ",".join(form.columns)
        data = bool(table.columns) and table.columns[0] in choices
        expected = f"the header {wanted}" if data else f"the columns {wanted} and no others"
        problems.add(f"line 1: expected {expected}, found {'a data row: ' * data}{found}")
        if not set(form.columns) <= set(table.columns):
            return {}
    _check_ids([row.fields[form.columns[0]] for row in table.rows], list(choices), problems)
    return _check_answers(table.rows, choices, problems, form)


def write_csvs(
    folder: Path, scored: Sequence[ChoiceScores], exam: Exam, key: AnswerKey | None
) -> None:
    """Write the three CSVs into an existing folder and read the submission back.

    The halves come from the key's Usage, else from `public_private_split` with seed 0.
    """
    usage = key.usage if key else public_private_split([row.id for row in scored])
    for name, halves in (
        (SUBMISSION, ("Public", "Private")),
        (PUBLIC, ("Public",)),
        (PRIVATE, ("Private",)),
    ):
        with (folder / name).open("w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out, lineterminator="\n")
            writer.writerow(exam.submission.columns)
            writer.writerows(
                (row.id, _cell(row, exam.submission))
                for row in scored
                if usage[row.id] in halves
            )
    written = read_submission(folder / SUBMISSION, exam)[0]
    if written != {row.id: row.answer for row in scored}:
        raise UserError(f"{exam.path}: ids do not survive a CSV round trip; change them.")


def _cell(row: ChoiceScores, form: SubmissionFormat) -> str:
    others = [n for n in range(1, len(row.probability) + 1) if n != row.answer]
    others.sort(key=lambda n: -row.probability[n - 1])
    ranked = [row.answer, *others][: form.ranks]
    return " ".join(ascii_uppercase[n - 1] if form.letters else str(n) for n in ranked)


def _check_ids(ids: Sequence[str], expected: Sequence[str], problems: ErrorCollector) -> None:
    counts, known = Counter(ids), set(expected)
    _add(problems, "missing id", [id for id in expected if id not in counts])
    _add(problems, "id not in the exam", [repr(id) for id in counts if id not in known])
    _add(problems, "duplicate id", [id for id, n in counts.items() if n > 1])
    common = [id for id in dict.fromkeys(ids) if id in known]
    order = (id for id in expected if id in counts)
    for number, (found, wanted) in enumerate(zip(common, order, strict=True), start=1):
        if found != wanted:
            problems.add(
                f"ids not in the exam's order: number {number} is {found}, expected {wanted}"
            )
            return


def _check_answers(
    rows: Sequence[Row],
    choices: Mapping[str, int],
    problems: ErrorCollector,
    form: SubmissionFormat,
) -> dict[str, int]:
    answers: dict[str, int] = {}
    unreadable, beyond = [], []
    label = "[A-J]" if form.letters else "[0-9]{1,9}"
    cell = re.compile(f"{label}(?: {label}){{0,{form.ranks - 1}}}")
    for row in rows:
        id, text = (row.fields[name] for name in form.columns)
        if not cell.fullmatch(text):
            unreadable.append(f"{row}, {id}: {text[:40]!r}")
            continue
        ranked = [ascii_uppercase.find(part) + 1 or int(part) for part in text.split(" ")]
        if id in choices and not all(1 <= n <= choices[id] for n in ranked):
            beyond.append(f"{row}, {id}: {text} of {choices[id]} choices")
        elif len(set(ranked)) < len(ranked):
            unreadable.append(f"{row}, {id}: {text[:40]!r} names a choice twice")
        else:
            answers.setdefault(id, ranked[0])
    _add(problems, f"answer is not {LABELS[form.letters]}", unreadable)
    _add(problems, "answer out of range", beyond)
    return answers


def _add(problems: ErrorCollector, kind: str, examples: Sequence[str]) -> None:
    if examples:
        more = "; …" if len(examples) > EXAMPLES else ""
        problems.add(f"{len(examples)} × {kind}: {'; '.join(examples[:EXAMPLES])}{more}")
