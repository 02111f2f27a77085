"""`submit validate`: everything that is wrong with a submission, or that nothing is."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from solution.core import ErrorCollector, UserError
from solution.exam import Exam, public_private_split, read_exam, read_table
from solution.submit.checks import check_submission

PREDICTIONS = "predictions.parquet"
CP949 = "expected UTF-8, found CP949 (EUC-KR): save it as 'CSV UTF-8'"
REMEDY = "A submission holds id,answer: one row a question of the exam, in its order, UTF-8."


def validate(file: Path, exam: Path, run: Path | None = None) -> str:
    """One line that says the submission is right, and the sizes of its halves.

    With the `run` it came from, or where its predictions lie beside it, also that nothing
    forbidden was trained on. Raises UserError with everything that is wrong: columns, ids,
    order, answers, encoding, test rows or barred sources in the training data.
    """
    questions = read_exam(exam)
    answers, marked = read_submission(file, questions)
    rules = _rules(file, answers, questions, run)
    half = Counter(public_private_split(list(answers)).values())
    picked = ", ".join(
        f"{answer}: {n}" for answer, n in sorted(Counter(answers.values()).items())
    )
    mark = " It begins with a byte order mark; pandas skips it, other readers may not."
    return (
        f"{file}: valid: {len(answers)} rows in the order of {exam}, every answer one of its "
        f"row's choices ({picked}); halves of {half['Public']} and {half['Private']}."
        + (mark if marked else "")
        + (f" {rules}" if rules else "")
    )


def _rules(file: Path, answers: dict[str, int], exam: Exam, run: Path | None) -> str:
    """What the rules say of the predictions that the submission was written from."""
    from solution.scoring import read_predictions
    from solution.submit.rules import check_training

    predictions = run / PREDICTIONS if run else file.with_name(PREDICTIONS)
    if not run and not predictions.is_file():
        return ""
    scored = {row.id: row.answer for row in read_predictions(predictions)}
    if scored != answers:
        raise UserError(
            f"{predictions}: its answers are not those of {file}, so it does not say what the "
            "submission's model was trained on. Give the run it came from with --run."
        )
    return check_training(predictions, exam)


def read_submission(file: Path, exam: Exam) -> tuple[dict[str, int], bool]:
    """The answers in the exam's order, and whether the file begins with a byte order mark.

    Raises UserError with everything that is wrong with the file.
    """
    problems = ErrorCollector(str(file))
    table = read_table(file, problems)
    if table.encoding == "cp949":
        problems.add(CP949)
    choices = {question.id: len(question.choices) for question in exam.questions}
    answers = check_submission(table, choices, problems)
    problems.raise_if_any(REMEDY)
    return answers, table.encoding == "utf-8-sig"
