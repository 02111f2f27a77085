"""`submit ensemble`: combine several runs or submissions into one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from solution.core import ErrorCollector, UserError, aligned, sha256_file
from solution.exam import Exam, Question, near_duplicate_groups, read_exam
from solution.scoring import (
    ChoiceScores,
    TrainedQuestion,
    average_predictions,
    read_predictions,
)
from solution.submit.contamination import leaked_ids, trained_on
from solution.submit.files import SUBMISSION, read_submission, read_target
from solution.submit.log import SUBMISSIONS
from solution.submit.weights import Gain, fit_weights, measure_gain, stack
from solution.submit.write import (
    PREDICTIONS,
    align,
    check_folder,
    read_matching_key,
    write_submission,
)

Pooling = Literal["probabilities", "votes"]
OUT_OF_FOLD = "oof.parquet"


@dataclass(frozen=True)
class EnsembleOptions:
    """Options of `submit ensemble`."""

    combine: Pooling = "probabilities"
    weights: str = "equal"
    """`equal`, `learn`, or comma-separated numbers, one per source."""
    train: Path | None = None
    """Exam with answers that the out-of-fold predictions belong to."""
    out_of_fold: tuple[Path, ...] = ()
    """One per source; by default each run's own oof.parquet."""
    fallback: Path | None = None
    """Run that answers instead where the ensemble is unsure."""
    fallback_margin: float = 0.1
    """Margin between the two best choices below which the fallback answers."""


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
        standard = self.path.name in (PREDICTIONS, OUT_OF_FOLD, SUBMISSION)
        return self.path.resolve().parent.name if standard else self.path.stem


def ensemble(
    places: Sequence[Path],
    exam: Path,
    out: Path | None,
    options: EnsembleOptions,
    *,
    sample: Path | None = None,
    solution: Path | None = None,
    note: str = "",
) -> str:
    """Combine the answers of `places` to `exam` and write the submission to `out`.

    Returns a table of weights and agreement, the gain over the best run with its interval if
    out-of-fold predictions are given, and the files written. Raises UserError if a source or
    the key does not match the exam, or a model was trained on rows to fit weights on.
    """
    questions = read_target(exam, sample)
    key = read_matching_key(solution, questions)
    folder = out or SUBMISSIONS / "ensemble"
    check_folder(folder)
    sources = [read_source(place, questions) for place in places]
    weights, gain = _weights(sources, places, options)
    mixed = average_predictions([source.scored for source in sources], weights, options.combine)
    parts = [_table(sources, weights, mixed), *([str(gain)] if gain else [])]
    used, replaced = list(sources), 0
    if options.fallback:
        used.append(read_source(options.fallback, questions))
        mixed, replaced = apply_fallback(mixed, used[-1].scored, options.fallback_margin)
        margin = f"{options.fallback_margin:g}"
        parts.append(
            f"{used[-1].name} answers {replaced} questions with a margin below {margin}."
        )
    unknown = any(source.trained is None for source in used)
    trained = dict.fromkeys(row for source in used for row in source.trained or ())
    produced_by = {
        "ensemble": options,
        "members": [(s.path, s.sha256, w) for s, w in zip(sources, weights, strict=True)],
        "gain": gain._asdict() if gain else None,
        "trained_on": None if unknown else list(trained),
    }
    hashes = {source.path: source.sha256 for source in used}
    described = write_submission(
        folder, mixed, questions, produced_by, key=key, sources=hashes, note=note
    )
    return "\n\n".join([*parts, described])


def apply_fallback(
    rows: Sequence[ChoiceScores], fallback: Sequence[ChoiceScores], margin: float
) -> tuple[list[ChoiceScores], int]:
    """Replace rows whose margin is below `margin`; also return how many."""
    pairs = zip(rows, fallback, strict=True)
    chosen = [other if row.margin < margin else row for row, other in pairs]
    return chosen, sum(row.margin < margin for row in rows)


def read_source(path: Path, exam: Exam) -> Source:
    """Read a run folder, a predictions file or a submission CSV.

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


def read_out_of_fold(path: Path, exam: Exam) -> list[ChoiceScores]:
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
    return source.scored


def _one_hot(question: Question, answer: int) -> ChoiceScores:
    share = tuple(float(n == answer) for n in range(1, len(question.choices) + 1))
    logarithms = tuple(0.0 if chosen else -1e9 for chosen in share)
    return ChoiceScores(question.id, logarithms, share, answer, 1.0)


def _weights(
    sources: Sequence[Source], places: Sequence[Path], options: EnsembleOptions
) -> tuple[list[float], Gain | None]:
    """Return the weight of each source, and the gain if there are rows to measure it on."""
    given = _parse_weights(options.weights, len(sources))
    if options.train is None:
        if given is None:
            raise UserError(
                "--weights learn: needs --train FILE, the exam with answers that the "
                "out-of-fold predictions belong to."
            )
        return given, None
    import numpy as np

    given_oof = options.out_of_fold
    if given_oof and len(given_oof) != len(places):
        raise UserError(
            f"--oof: {len(given_oof)} files for {len(places)} sources; give one each."
        )
    train = read_exam(options.train, answers=True)
    tables = [read_out_of_fold(path, train) for path in given_oof or places]
    answers = np.array([(question.answer or 1) - 1 for question in train.questions])
    groups = near_duplicate_groups(train.questions)
    stacked = stack(tables, votes=options.combine == "votes")
    if given is not None:
        return given, measure_gain(stacked, answers, groups, lambda *_: np.array(given))
    gain = measure_gain(stacked, answers, groups)
    return fit_weights(stacked, answers).tolist(), gain


def _parse_weights(weights: str, number: int) -> list[float] | None:
    """Return the given weights, normalised; None for `learn`."""
    if weights == "learn":
        return None
    if weights == "equal":
        return [1 / number] * number
    try:
        values = [float(part) for part in weights.split(",")]
    except ValueError:
        values = []
    if len(values) != number or not all(0 <= w < 1e9 for w in values) or not sum(values):
        raise UserError(
            f"--weights {weights}: expected equal, learn or {number} comma-separated numbers, "
            "one per source, none negative and not all 0."
        )
    return [value / sum(values) for value in values]


def _table(
    sources: Sequence[Source], weights: Sequence[float], mixed: Sequence[ChoiceScores]
) -> str:
    """Format one row per source: its weight, and how often it agrees with the others."""
    picks = [[row.answer for row in s] for s in (mixed, *(s.scored for s in sources))]
    rows = []
    for number, (source, weight) in enumerate(zip(sources, weights, strict=True), start=1):
        same = [
            sum(a == b for a, b in zip(picks[number], other, strict=True)) for other in picks
        ]
        shares = [f"{count / len(mixed):.3f}" for count in same]
        rows.append((f"{number} {source.name}", f"{weight:.4f}", *shares, str(source.path)))
    numbers = [str(number) for number in range(1, len(sources) + 1)]
    header = ["source", "weight", "same answer as: ensemble", *numbers, "file"]
    return aligned(header, rows)
