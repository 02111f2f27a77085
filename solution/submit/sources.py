"""What an ensemble is made of: predictions of runs, and plain submissions as votes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from solution.core import ErrorCollector, UserError, sha256_file
from solution.exam import Exam, Question, content_hash
from solution.scoring import (
    ChoiceScores,
    TrainedQuestion,
    as_trained,
    read_predictions,
    read_produced_by,
)
from solution.submit.validate import PREDICTIONS, read_submission

OUT_OF_FOLD = "oof.parquet"


@dataclass(frozen=True)
class Source:
    """One member of an ensemble: its answers to the exam, one entry a question in its order."""

    path: Path
    sha256: str
    scored: list[ChoiceScores]
    trained: list[TrainedQuestion] | None
    """What its model read; None where that is not known, as of a plain CSV."""
    votes: bool
    """A plain CSV: chosen answers without probabilities."""

    @property
    def name(self) -> str:
        """What tables call it: the run, not the file in it."""
        plain = self.path.name in (PREDICTIONS, OUT_OF_FOLD, "submission.csv")
        return self.path.resolve().parent.name if plain else self.path.stem


def read_source(place: Path, exam: Exam) -> Source:
    """A run folder, a predictions file or an `id,answer` CSV, in the exam's order.

    Raises UserError where it is none of these or does not answer this very exam.
    """
    path = place / PREDICTIONS if place.is_dir() else place
    if not path.is_file():
        raise UserError(
            f"{path}: not there. Give run folders that hold {PREDICTIONS}, such files, or CSVs "
            "of id,answer."
        )
    if path.suffix.lower() == ".csv":
        answers, _ = read_submission(path, exam)
        scored = [_vote(question, answers[question.id]) for question in exam.questions]
        return Source(path, sha256_file(path), scored, None, votes=True)
    by_id = {row.id: row for row in read_predictions(path)}
    scored = in_order(by_id, exam, path)
    return Source(path, sha256_file(path), scored, trained_on(path), votes=False)


def trained_on(path: Path) -> list[TrainedQuestion] | None:
    """What a predictions file says its models read; None where it says nothing."""
    return as_trained(read_produced_by(path).get("trained_on"), str(path))


def out_of_fold(place: Path, exam: Exam) -> Source:
    """Predictions of `exam` by models that did not read the row they answer.

    Raises UserError, naming rows, where a model did, and where the file does not say.
    """
    path = place / OUT_OF_FOLD if place.is_dir() else place
    if path.suffix.lower() == ".csv":
        raise UserError(
            f"{path}: a CSV does not say what its model was trained on, so no weights can be "
            "learnt on it. Give predictions as parquet, or --weights equal."
        )
    source = read_source(path, exam)
    if source.trained is None:
        raise UserError(
            f"{path}: does not say what its model was trained on, so weights learnt on it "
            "might only say who knew the answers. Predict again, or take --weights equal."
        )
    seen = in_fold(source.trained, exam.questions)
    if seen:
        problems = ErrorCollector(str(path))
        for id in seen:
            problems.add(f"{id}: in-fold: the model that answered it was trained on it")
        problems.raise_if_any(
            "Weights are learnt on out-of-fold predictions only: ./run.sh finetune --folds 5 "
            "writes them."
        )
    return source


def in_fold(rows: Sequence[TrainedQuestion], questions: Sequence[Question]) -> list[str]:
    """The ids of questions that the model which answered them was trained on.

    A row known to one fold alone was left out by the model that answered it; the same question
    in two folds was read by both models.
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


def in_order(by_id: dict[str, ChoiceScores], exam: Exam, path: Path) -> list[ChoiceScores]:
    """The exam's rows; UserError where one is missing or has another number of choices."""
    problems = ErrorCollector(str(path))
    for question in exam.questions:
        row = by_id.get(question.id)
        if row is None:
            problems.add(f"{question.id}: no prediction")
        elif len(row.probability) != len(question.choices):
            problems.add(
                f"{question.id}: {len(row.probability)} probabilities, "
                f"{len(question.choices)} choices"
            )
    problems.raise_if_any(f"Give predictions of {exam.path}.")
    return [by_id[question.id] for question in exam.questions]


def _vote(question: Question, answer: int) -> ChoiceScores:
    share = tuple(float(n == answer) for n in range(1, len(question.choices) + 1))
    return ChoiceScores(
        question.id, tuple(0.0 if s else -1e9 for s in share), share, answer, 1.0
    )
