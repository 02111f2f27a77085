"""Members of an ensemble: predictions of runs, and plain submissions as one-hot votes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from solution.core import ErrorCollector, UserError, sha256_file
from solution.exam import Exam, Question
from solution.scoring import ChoiceScores, TrainedQuestion, read_predictions
from solution.submit.contamination import leaked_ids, trained_on
from solution.submit.files import PREDICTIONS, align, read_submission

OUT_OF_FOLD = "oof.parquet"


@dataclass(frozen=True)
class Source:
    """One member of an ensemble: its answers to the exam, in the exam's order."""

    path: Path
    sha256: str
    scored: list[ChoiceScores]
    trained: list[TrainedQuestion] | None
    """Training rows of its model; None if unknown, as for a plain CSV."""

    @property
    def name(self) -> str:
        """Name for tables: the run, or the file if it is not a standard one."""
        standard = self.path.name in (PREDICTIONS, OUT_OF_FOLD, "submission.csv")
        return self.path.resolve().parent.name if standard else self.path.stem


def read_source(path: Path, exam: Exam) -> Source:
    """Read a run folder, a predictions file or an `id,answer` CSV.

    Raises UserError if it is none of these or does not answer this exam.
    """
    path = path / PREDICTIONS if path.is_dir() else path
    if not path.is_file():
        raise UserError(
            f"{path}: not found. Give run folders with a {PREDICTIONS}, such files, or CSVs of "
            "id,answer."
        )
    if path.suffix.lower() == ".csv":
        answers, _ = read_submission(path, exam)
        scored = [_one_hot(question, answers[question.id]) for question in exam.questions]
        return Source(path, sha256_file(path), scored, None)
    scored = align(read_predictions(path), exam, path)
    return Source(path, sha256_file(path), scored, trained_on(path))


def read_out_of_fold(path: Path, exam: Exam) -> Source:
    """Read predictions of training questions by models that were not trained on them.

    Raises UserError, naming rows, if a model was, and if the training data is unknown.
    """
    path = path / OUT_OF_FOLD if path.is_dir() else path
    source = read_source(path, exam)
    if source.trained is None:
        raise UserError(
            f"{path}: does not record its model's training data, so weights fitted on it may "
            "reward memorisation. Give out-of-fold predictions (parquet), or --weights equal."
        )
    problems = ErrorCollector(str(path))
    for id in leaked_ids(source.trained, exam.questions):
        problems.add(f"{id}: in-fold: the model that answered it was trained on it")
    problems.raise_if_any(
        "Weights need out-of-fold predictions: ./run.sh finetune --folds 5 writes them."
    )
    return source


def _one_hot(question: Question, answer: int) -> ChoiceScores:
    share = tuple(float(n == answer) for n in range(1, len(question.choices) + 1))
    logarithms = tuple(0.0 if chosen else -1e9 for chosen in share)
    return ChoiceScores(question.id, logarithms, share, answer, 1.0)
