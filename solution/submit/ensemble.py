"""`submit ensemble`: combine several runs or submissions into one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from solution.core import UserError, aligned, atomic_directory, write_json
from solution.exam import near_duplicate_groups, read_exam
from solution.scoring import (
    ChoiceScores,
    TrainedQuestion,
    average_predictions,
    write_predictions,
)
from solution.submit.files import (
    ENSEMBLE,
    PREDICTIONS,
    SUBMISSIONS,
    check_folder,
    read_matching_key,
    write_files,
)
from solution.submit.log import record_submission
from solution.submit.score import correct_by_half, describe
from solution.submit.sources import Source, read_out_of_fold, read_source
from solution.submit.weights import Gain, fit_weights, measure_gain, stack

Pooling = Literal["probabilities", "votes"]


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


def ensemble(
    places: Sequence[Path],
    exam: Path,
    out: Path | None,
    options: EnsembleOptions,
    *,
    solution: Path | None = None,
    note: str = "",
) -> str:
    """Combine the answers of `places` to `exam` and write the submission to `out`.

    Returns tables of weights and agreement, the gain over the best run with its interval if
    out-of-fold predictions are given, and the files written. Raises UserError if a source or
    the key does not match the exam, or a model was trained on rows to fit weights on.
    """
    questions = read_exam(exam)
    key = read_matching_key(solution, questions)
    folder = out or SUBMISSIONS / "ensemble"
    check_folder(folder)
    sources = [read_source(place, questions) for place in places]
    weights, gain = _weights(sources, places, options)
    mixed = average_predictions([source.scored for source in sources], weights, options.combine)
    used, replaced = list(sources), 0
    if options.fallback:
        used.append(read_source(options.fallback, questions))
        mixed, replaced = apply_fallback(mixed, used[-1].scored, options.fallback_margin)
    facts = _facts(sources, weights, options, gain) | {"fallback_answers": replaced}
    with atomic_directory(folder) as work:
        write_predictions(work / PREDICTIONS, mixed, facts | {"trained_on": _all_trained(used)})
        write_json(work / ENSEMBLE, facts)
        write_files(work, mixed, questions, key)
    answers = {row.id: row.answer for row in mixed}
    scores = correct_by_half(answers, key) if key else {}
    record_submission(folder, {s.path: s.sha256 for s in used}, scores, note)
    parts = [_table(sources, weights, mixed), *([str(gain)] if gain else [])]
    if options.fallback:
        margin = f"{options.fallback_margin:g}"
        parts.append(
            f"{used[-1].name} answers {replaced} questions with a margin below {margin}."
        )
    return "\n\n".join([*parts, describe(folder, questions, answers, key)])


def apply_fallback(
    rows: Sequence[ChoiceScores], fallback: Sequence[ChoiceScores], margin: float
) -> tuple[list[ChoiceScores], int]:
    """Replace rows whose margin is below `margin`; also return how many."""
    pairs = zip(rows, fallback, strict=True)
    chosen = [other if row.margin < margin else row for row, other in pairs]
    return chosen, sum(row.margin < margin for row in rows)


def agreement(tables: Sequence[Sequence[ChoiceScores]]) -> list[list[float]]:
    """Return, for each pair of predictions, the share of questions with the same answer."""
    picks = [[row.answer for row in table] for table in tables]
    return [
        [sum(a == b for a, b in zip(one, two, strict=True)) / len(one) for two in picks]
        for one in picks
    ]


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
    tables = [read_out_of_fold(path, train).scored for path in given_oof or places]
    answers = np.array([(question.answer or 1) - 1 for question in train.questions])
    groups = near_duplicate_groups(train.questions)
    stacked = stack(tables, votes=options.combine == "votes")
    if given is not None:
        fixed = np.array(given)
        return given, measure_gain(stacked, answers, groups, lambda *_: fixed)
    gain = measure_gain(stacked, answers, groups)
    return [float(weight) for weight in fit_weights(stacked, answers)], gain


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


def _all_trained(sources: Sequence[Source]) -> list[TrainedQuestion] | None:
    """Return the training rows of all models; None if those of one are unknown."""
    rows: dict[TrainedQuestion, None] = {}
    for source in sources:
        if source.trained is None:
            return None
        rows |= dict.fromkeys(source.trained)
    return list(rows)


def _facts(
    sources: Sequence[Source],
    weights: Sequence[float],
    options: EnsembleOptions,
    gain: Gain | None,
) -> dict[str, Any]:
    members = [
        {"source": str(source.path), "sha256": source.sha256, "weight": weight}
        for source, weight in zip(sources, weights, strict=True)
    ]
    return {
        "combine": options.combine,
        "weights": options.weights,
        "members": members,
        "agreement": agreement([source.scored for source in sources]),
        "gain": gain._asdict() if gain else None,
        "fallback": str(options.fallback) if options.fallback else None,
        "fallback_margin": options.fallback_margin,
    }


def _table(
    sources: Sequence[Source], weights: Sequence[float], mixed: Sequence[ChoiceScores]
) -> str:
    """Format one row per source: its weight, and how often it agrees with the others."""
    _, *shares = agreement([mixed, *(source.scored for source in sources)])
    numbers = [str(number) for number in range(1, len(sources) + 1)]
    header = ["source", "weight", "same answer as: ensemble", *numbers, "file"]
    rows = [
        (
            f"{number} {source.name}",
            f"{weight:.4f}",
            *(f"{share:.3f}" for share in line),
            str(source.path),
        )
        for number, source, weight, line in zip(numbers, sources, weights, shares, strict=True)
    ]
    return aligned(header, rows)
