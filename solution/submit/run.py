"""The submission of a finished run, under submissions/; scored where the key is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from solution.core import UserError, resolve_path
from solution.exam import AnswerKey, Exam, public_private_split, read_answer_key, read_exam
from solution.submit.history import remember
from solution.submit.score import accuracy_table, halves_right
from solution.submit.validate import PREDICTIONS
from solution.submit.write import PRIVATE, PUBLIC, SUBMISSION, write_submission

SUBMISSIONS = Path("submissions")


def submit_run(run: Path) -> str:
    """Write submissions/<run name>/ from a run's predictions of its test file.

    Returns what was written, its accuracy where the run names a solution, and the next command.
    Raises UserError where the run, its test file or its predictions are absent or don't match.
    """
    from solution.scoring import read_predictions

    data = _data_of(run)
    test = resolve_path(data["test"])
    exam = read_exam(test)
    solution = read_answer_key(resolve_path(data["solution"])) if data.get("solution") else None
    scored = read_predictions(run / PREDICTIONS)
    folder = SUBMISSIONS / run.resolve().name
    write_submission(scored, exam, folder, solution, run / PREDICTIONS)
    answers = {row.id: row.answer for row in scored}
    known = halves_right(answers, solution) if solution else {}
    remember(folder, [run / PREDICTIONS], known, "")
    return describe(folder, exam, answers, solution)


def describe(
    folder: Path, exam: Exam, answers: dict[str, int], solution: AnswerKey | None = None
) -> str:
    """What was written to `folder`, the accuracy where the key is known, the next command."""
    usage = list((solution.usage if solution else public_private_split(list(answers))).values())
    lines = [
        f"{folder / SUBMISSION}  {len(answers)} rows",
        f"{folder / PUBLIC}  {usage.count('Public')} rows",
        f"{folder / PRIVATE}  {usage.count('Private')} rows",
    ]
    if solution:
        lines += ["", accuracy_table(answers, solution)]
    check = f"./run.sh submit validate {folder / SUBMISSION} --exam {exam.path}"
    return "\n".join([*lines, "", f"Next: {check}"])


def _data_of(run: Path) -> dict[str, Any]:
    """The `data` of the run's config.yaml; it names a test file."""
    path = run / "config.yaml"
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: expected the config of a finished run: {error}") from error
    data = config.get("data") if isinstance(config, dict) else None
    if not isinstance(data, dict) or not isinstance(data.get("test"), str):
        raise UserError(f"{path}: names no data.test. Give the folder of a fine-tuning run.")
    return data
