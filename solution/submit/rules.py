"""The contest's rules on what may be trained on, held against what a model says it read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from solution.core import ErrorCollector
from solution.exam import Exam, content_hash
from solution.scoring import TrainedQuestion
from solution.submit.sources import trained_on

# Words of a source that may not be trained on: the college entrance exam and its mocks and
# workbooks, and the benchmarks that the test was drawn from.
BARRED = re.compile(
    r"csat|수능|수학능력|kice|평가원|모의고사|\bebs|mmmlu|kmmlu|ko-mmlu|klue[-_ ]?mrc",
    re.IGNORECASE,
)
OWN = re.compile(r"generation-for-nlp-\d+")
"""Ids of the contest's own training file: given to be trained on, wherever they came from."""


def check_training(predictions: Path, exam: Exam) -> str:
    """A sentence on what the model behind a predictions file read.

    Raises UserError, naming rows, where test questions or barred sources are among it.
    """
    rows = trained_on(predictions)
    if rows is None:
        return f"{predictions} does not say what its model was trained on: not checked."
    problems = ErrorCollector(str(predictions))
    for fault in rows_of_test(rows, exam) + barred_rows(rows):
        problems.add(fault)
    problems.raise_if_any(
        "The contest forbids this submission: take these rows out of the training data and "
        "tune again."
    )
    return f"Trained on {len(rows)} rows: none of the test, none of a barred source."


def rows_of_test(rows: Sequence[TrainedQuestion], exam: Exam) -> list[str]:
    """A line for each training row that is a question of the exam, by its id or its text."""
    same = {content_hash(question): question.id for question in exam.questions}
    ids = {question.id for question in exam.questions}
    found = []
    for row in rows:
        if row.content_hash in same or row.id in ids:
            found.append(
                f"{row.id}: trained on, and is {same.get(row.content_hash, row.id)} here"
            )
    return found


def barred_rows(rows: Sequence[TrainedQuestion]) -> list[str]:
    """A line for each training row whose source names barred material."""
    return [
        f"{row.id}: trained on, and its source {row.source[:60]!r} is barred"
        for row in rows
        if BARRED.search(row.source) and not OWN.fullmatch(row.id)
    ]
