"""`submit validate`: the form of a submission, and its training data against the rules."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from solution.core import ErrorCollector, UserError
from solution.exam import Exam, Question, content_hash, public_private_split
from solution.scoring import TrainedQuestion, as_trained, read_predictions, read_produced_by
from solution.submit.files import read_submission, read_target
from solution.submit.write import PREDICTIONS

# The college entrance exam, its mock exams and workbooks, and the benchmarks that the test
# was drawn from.
FORBIDDEN_SOURCES = re.compile(
    r"csat|수능|수학능력|kice|평가원|모의고사|\bebs|mmmlu|kmmlu|ko-mmlu|klue[-_ ]?mrc",
    re.IGNORECASE,
)
CONTEST_ID = re.compile(r"generation-for-nlp-\d+")
"""Ids of the contest's own training file, which is allowed whatever its rows' sources."""
BOM = " The file starts with a byte order mark; pandas skips it, other readers may not."


def validate(
    file: Path, exam: Path, run: Path | None = None, sample: Path | None = None
) -> str:
    """Check a submission and return one line that describes it.

    The training data is checked if the predictions are in `run` or beside the file; the line
    says if they are not. Raises UserError with every problem: columns, ids, order, answers,
    encoding, test questions or forbidden sources in the training data.
    """
    questions = read_target(exam, sample)
    answers, bom = read_submission(file, questions)
    rules = _check_rules(file, answers, questions, run)
    half = Counter(public_private_split(list(answers)).values())
    counts = ", ".join(f"{a}: {n}" for a, n in sorted(Counter(answers.values()).items()))
    return (
        f"{file}: valid format: {len(answers)} rows in the order of {sample or exam}, every "
        f"answer within its row's choices ({counts}); halves of "
        f"{half['Public']} and {half['Private']}.{BOM if bom else ''} {rules}"
    )


def _check_rules(file: Path, answers: dict[str, int], exam: Exam, run: Path | None) -> str:
    """Check the training data recorded beside a submission, if it is known."""
    predictions = (run or file.parent) / PREDICTIONS
    if not run and not predictions.is_file():
        return (
            "Contest rules not checked: the training data is unknown, because there is no "
            f"{predictions}. Give the submission's run with --run."
        )
    if {row.id: row.answer for row in read_predictions(predictions)} != answers:
        raise UserError(
            f"{predictions}: its answers differ from those of {file}, so it does not describe "
            "this submission's training data. Give the run that it came from with --run."
        )
    rows = trained_on(predictions)
    if rows is None:
        return f"Contest rules not checked: {predictions} does not record its training data."
    problems = ErrorCollector(str(predictions))
    by_hash = {content_hash(question): question.id for question in exam.questions}
    # Plain numbers say nothing: other contests count the rows of both files from 0.
    ids = {id for id in by_hash.values() if not id.isdecimal()}
    for row in rows:
        if row.content_hash in by_hash or row.id in ids:
            same = by_hash.get(row.content_hash, row.id)
            problems.add(f"{row.id}: training row is test question {same}")
        if FORBIDDEN_SOURCES.search(row.source) and not CONTEST_ID.fullmatch(row.id):
            problems.add(f"{row.id}: training row has forbidden source {row.source[:60]!r}")
    problems.raise_if_any(
        "The contest forbids this submission: remove these rows from the training data and "
        "fine-tune again."
    )
    return f"Trained on {len(rows)} rows: no test question, no forbidden source."


def trained_on(predictions: Path) -> list[TrainedQuestion] | None:
    """Return the training rows that a predictions file records; None if it records none."""
    return as_trained(read_produced_by(predictions).get("trained_on"), str(predictions))


def leaked_ids(rows: Sequence[TrainedQuestion], questions: Sequence[Question]) -> list[str]:
    """Return the ids of questions that were training data of the model that answered them.

    A row recorded with one fold only was held out by the model that answered it; a row in two
    folds, or without a fold, was training data of that model.
    """
    folds: defaultdict[str, set[int | None]] = defaultdict(set)
    for row in rows:
        folds[row.content_hash].add(row.fold)
        folds[f"id {row.id}"].add(row.fold)
    found = []
    for question in questions:
        known = folds.get(content_hash(question), set()) | folds.get(f"id {question.id}", set())
        if None in known or len(known) > 1:
            found.append(question.id)
    return found
