"""Submission files: read and check `id,answer`, write a submission folder."""

from __future__ import annotations

import csv
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from solution.core import ErrorCollector, UserError, atomic_directory
from solution.exam import (
    AnswerKey,
    Exam,
    Row,
    Table,
    public_private_split,
    read_answer_key,
    read_table,
    with_answers,
)

if TYPE_CHECKING:
    from solution.scoring import ChoiceScores

SUBMISSIONS = Path("submissions")
SUBMISSION, PUBLIC, PRIVATE = "submission.csv", "public.csv", "private.csv"
PREDICTIONS, ENSEMBLE = "predictions.parquet", "ensemble.json"
OWN_FILES = {SUBMISSION, PUBLIC, PRIVATE, PREDICTIONS, ENSEMBLE}
COLUMNS = ("id", "answer")
EXAMPLES = 3
CP949 = "expected UTF-8, found CP949 (EUC-KR): save it as 'CSV UTF-8'"
REMEDY = "Expected columns id,answer, one row per question in the exam's order, UTF-8."


def read_submission(file: Path, exam: Exam) -> tuple[dict[str, int], bool]:
    """Return the answers in the exam's order, and whether the file has a byte order mark.

    Raises UserError with every problem of the file.
    """
    problems = ErrorCollector(str(file))
    table = read_table(file, problems)
    if table.encoding == "cp949":
        problems.add(CP949)
    answers = check_rows(table, {q.id: len(q.choices) for q in exam.questions}, problems)
    problems.raise_if_any(REMEDY)
    return answers, table.encoding == "utf-8-sig"


def check_rows(
    table: Table, choices: Mapping[str, int], problems: ErrorCollector
) -> dict[str, int]:
    """Return the answer of every id; add one line per kind of problem to `problems`.

    `choices` maps every expected id to its number of choices, in the expected order.
    """
    if table.columns != COLUMNS:
        found = ",".join(table.columns)[:100]
        data = bool(table.columns) and table.columns[0] in choices
        expected = "the header id,answer" if data else "the columns id,answer and no others"
        problems.add(f"line 1: expected {expected}, found {'a data row: ' * data}{found}")
        if not set(COLUMNS) <= set(table.columns):
            return {}
    _check_ids([row.fields["id"] for row in table.rows], list(choices), problems)
    return _check_answers(table.rows, choices, problems)


def read_matching_key(path: Path | None, exam: Exam) -> AnswerKey | None:
    """Read the answer key of `exam`, if there is one.

    Raises UserError if an id is in only one of the two files.
    """
    if path is None:
        return None
    key = read_answer_key(path)
    with_answers(exam, key)
    return key


def align(scored: Sequence[ChoiceScores], exam: Exam, label: Path) -> list[ChoiceScores]:
    """Return predictions in the exam's order; `label` names their file in messages.

    Raises UserError if ids or numbers of choices are not those of the exam.
    """
    by_id = {row.id: row for row in scored}
    expected = {q.id: len(q.choices) for q in exam.questions}
    problems = ErrorCollector(str(label))
    if len(by_id) != len(scored):
        problems.add(f"{len(scored) - len(by_id)} predictions with a duplicate id")
    for id in [*expected, *(id for id in by_id if id not in expected)]:
        if id not in by_id:
            problems.add(f"{id}: no prediction")
        elif id not in expected:
            problems.add(f"{id}: predicted, but not in the exam")
        elif len(by_id[id].probability) != expected[id]:
            found = len(by_id[id].probability)
            problems.add(f"{id}: {found} probabilities for {expected[id]} choices")
    problems.raise_if_any(f"Predict {exam.path} again.")
    return [by_id[id] for id in expected]


def write_submission(
    scored: Sequence[ChoiceScores],
    exam: Exam,
    folder: Path,
    key: AnswerKey | None = None,
    predictions: Path | None = None,
) -> None:
    """Write submission.csv, public.csv and private.csv into `folder`, all or nothing.

    A copy of `predictions` goes beside them; it records the training data. Raises UserError if
    the predictions do not match the exam, or `folder` holds files that are no submission's.
    """
    check_folder(folder)
    with atomic_directory(folder) as work:
        write_files(work, scored, exam, key)
        if predictions:
            shutil.copyfile(predictions, work / PREDICTIONS)


def write_files(
    work: Path, scored: Sequence[ChoiceScores], exam: Exam, key: AnswerKey | None = None
) -> None:
    """Write the three CSVs into the existing folder `work` and read the submission back.

    The halves come from the key's Usage, else from `public_private_split` with seed 0.
    """
    answers = {row.id: row.answer for row in align(scored, exam, exam.path)}
    usage = key.usage if key else public_private_split(list(answers))
    _write(work / SUBMISSION, answers.items())
    for name, half in ((PUBLIC, "Public"), (PRIVATE, "Private")):
        _write(work / name, ((id, a) for id, a in answers.items() if usage[id] == half))
    if read_submission(work / SUBMISSION, exam)[0] != answers:
        raise UserError(f"{exam.path}: ids do not survive a CSV round trip; change them.")


def check_folder(folder: Path) -> None:
    """Raise UserError if writing a submission to `folder` would delete other files."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is a file. Give a folder to write the submission to.")
    others = sorted({path.name for path in folder.glob("*")} - OWN_FILES)
    if others:
        raise UserError(
            f"{folder}: contains other files than a submission ({', '.join(others[:3])}). "
            "Give an empty or new folder."
        )


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
    rows: Sequence[Row], choices: Mapping[str, int], problems: ErrorCollector
) -> dict[str, int]:
    answers: dict[str, int] = {}
    unreadable, beyond = [], []
    for row in rows:
        id, text = row.fields["id"], row.fields["answer"]
        if not re.fullmatch(r"[0-9]{1,9}", text):
            unreadable.append(f"{row}, {id}: {text[:40]!r}")
        elif id in choices and not 1 <= int(text) <= choices[id]:
            beyond.append(f"{row}, {id}: {text} of {choices[id]} choices")
        else:
            answers.setdefault(id, int(text))
    _add(problems, "answer is not a whole number", unreadable)
    _add(problems, "answer out of range", beyond)
    return answers


def _add(problems: ErrorCollector, kind: str, examples: Sequence[str]) -> None:
    if examples:
        more = "; …" if len(examples) > EXAMPLES else ""
        problems.add(f"{len(examples)} × {kind}: {'; '.join(examples[:EXAMPLES])}{more}")


def _write(path: Path, rows: Iterable[tuple[str, int]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)
