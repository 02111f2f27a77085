"""Write a submission folder from predictions, log it and describe it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from solution.core import ErrorCollector, UserError, atomic_directory, sha256_file
from solution.exam import AnswerKey, Exam, read_answer_key, with_answers
from solution.scoring import write_predictions
from solution.submit.files import PRIVATE, PUBLIC, SUBMISSION, write_csvs
from solution.submit.log import record_submission
from solution.submit.score import accuracy_table, correct_by_half

if TYPE_CHECKING:
    from solution.scoring import ChoiceScores

PREDICTIONS = "predictions.parquet"
OWN_FILES = {SUBMISSION, PUBLIC, PRIVATE, PREDICTIONS}


def write_submission(
    folder: Path,
    scored: Sequence[ChoiceScores],
    exam: Exam,
    produced_by: Mapping[str, Any],
    *,
    key: AnswerKey | None = None,
    sources: Mapping[Path, str] | None = None,
    note: str = "",
) -> str:
    """Write predictions.parquet, submission.csv, public.csv and private.csv, all or nothing.

    `sources` maps the files it was made from to their SHA-256. Returns the files, the accuracy
    if the key is known, and the next command. Raises UserError if the predictions do not match
    the exam, or `folder` holds files that are no submission's.
    """
    check_folder(folder)
    scored = align(scored, exam, exam.path)
    with atomic_directory(folder) as work:
        write_predictions(work / PREDICTIONS, scored, produced_by)
        write_csvs(work, scored, exam, key)
    answers = {row.id: row.answer for row in scored}
    scores = correct_by_half(answers, key) if key else {}
    path = folder / PREDICTIONS
    record_submission(folder / SUBMISSION, sources or {path: sha256_file(path)}, scores, note)
    lines = [f"{folder / SUBMISSION}  {len(answers)} rows, halves {PUBLIC} and {PRIVATE}"]
    if key:
        lines += ["", accuracy_table(answers, key)]
    sample = exam.submission.sample
    check = f"./run.sh submit validate {folder / SUBMISSION} --exam {exam.path}"
    return "\n".join([*lines, "", f"Next: {check}{f' --sample {sample}' if sample else ''}"])


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


def align(scored: Sequence[ChoiceScores], exam: Exam, label: Path) -> list[ChoiceScores]:
    """Return predictions in the exam's order; `label` names their file in messages.

    Raises UserError if ids or numbers of choices are not those of the exam.
    """
    by_id = {row.id: row for row in scored}
    expected = {q.id: len(q.choices) for q in exam.questions}
    problems = ErrorCollector(str(label))
    if len(by_id) != len(scored):
        problems.add(f"{len(scored) - len(by_id)} predictions with a duplicate id")
    for id in dict.fromkeys([*expected, *by_id]):
        if id not in by_id:
            problems.add(f"{id}: no prediction")
        elif id not in expected:
            problems.add(f"{id}: predicted, but not in the exam")
        elif len(by_id[id].probability) != expected[id]:
            found = len(by_id[id].probability)
            problems.add(f"{id}: {found} probabilities for {expected[id]} choices")
    problems.raise_if_any(f"Predict {exam.path} again.")
    return [by_id[id] for id in expected]


def read_matching_key(path: Path | None, exam: Exam) -> AnswerKey | None:
    """Read the answer key of `exam`, if there is one.

    Raises UserError if an id is in only one of the two files.
    """
    if path is None:
        return None
    key = read_answer_key(path)
    with_answers(exam, key)
    return key
