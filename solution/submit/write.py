"""From probabilities to the CSV that is handed in, and its public and private halves."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from solution.core import ErrorCollector, UserError, atomic_directory
from solution.exam import AnswerKey, Exam, public_private_split
from solution.submit.validate import PREDICTIONS, read_submission

if TYPE_CHECKING:
    from solution.scoring import ChoiceScores

SUBMISSION, PUBLIC, PRIVATE = "submission.csv", "public.csv", "private.csv"
ENSEMBLE = "ensemble.json"
OURS = {SUBMISSION, PUBLIC, PRIVATE, PREDICTIONS, ENSEMBLE}


def write_submission(
    scored: Sequence[ChoiceScores],
    exam: Exam,
    folder: Path,
    solution: AnswerKey | None = None,
    predictions: Path | None = None,
) -> None:
    """Write submission.csv, public.csv and private.csv into `folder`, which appears whole.

    The file of `predictions` they come from, where given, is laid beside them: it says what
    was trained on.

    Rows stand in the exam's order; the halves come from the solution's Usage, else from
    `public_private_split` with seed 0. Raises UserError where the predictions are not those
    of this exam, or where `folder` holds other things than a submission.
    """
    check_folder(folder)
    with atomic_directory(folder) as work:
        fill_folder(work, scored, exam, solution)
        if predictions:
            shutil.copyfile(predictions, work / PREDICTIONS)


def fill_folder(
    work: Path, scored: Sequence[ChoiceScores], exam: Exam, solution: AnswerKey | None = None
) -> None:
    """Write the three files into the existing folder `work` and read the submission back.

    Raises UserError where the predictions are not those of this exam.
    """
    answers = _in_order(scored, exam)
    usage = public_private_split(list(answers)) if solution is None else solution.usage
    _write(work / SUBMISSION, answers.items())
    for name, half in ((PUBLIC, "Public"), (PRIVATE, "Private")):
        _write(work / name, ((id, a) for id, a in answers.items() if usage[id] == half))
    read, _ = read_submission(work / SUBMISSION, exam)
    if read != answers:
        raise UserError(f"{exam.path}: its ids do not come back equal from a CSV file.")


def check_folder(folder: Path) -> None:
    """Raise UserError where writing a submission to `folder` would remove something else."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is a file. Give a folder to write the submission to.")
    others = sorted({path.name for path in folder.glob("*")} - OURS)
    if others:
        raise UserError(
            f"{folder}: holds other things than a submission ({', '.join(others[:3])}). "
            "Give a folder of its own."
        )


def _in_order(scored: Sequence[ChoiceScores], exam: Exam) -> dict[str, int]:
    answers = {row.id: row.answer for row in scored}
    expected = [question.id for question in exam.questions]
    problems = ErrorCollector(str(exam.path))
    if len(answers) != len(scored):
        problems.add(f"{len(scored) - len(answers)} predictions have an id that came before")
    for id in expected:
        if id not in answers:
            problems.add(f"{id}: no prediction")
    for id in sorted(answers.keys() - set(expected)):
        problems.add(f"{id}: predicted, but no question of this exam")
    problems.raise_if_any("Predict this very file again.")
    return {id: answers[id] for id in expected}


def _write(path: Path, rows: Iterable[tuple[str, int]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["id", "answer"])
        writer.writerows(rows)
