"""`submit ensemble`: several runs or submissions made into one, with what that is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from solution.core import UserError, aligned, atomic_directory, write_json
from solution.exam import Exam, near_duplicate_groups, read_answer_key, read_exam
from solution.scoring import ChoiceScores, How, TrainedQuestion, average, write_predictions
from solution.submit.history import remember
from solution.submit.run import SUBMISSIONS, describe
from solution.submit.score import halves_right
from solution.submit.sources import Source, out_of_fold, read_source
from solution.submit.validate import PREDICTIONS
from solution.submit.write import ENSEMBLE, check_folder, fill_folder

if TYPE_CHECKING:
    from solution.submit.weights import Gain


@dataclass(frozen=True)
class EnsembleOptions:
    """How to mix: the options of the command."""

    how: How = "probabilities"
    weights: str = "equal"
    """equal, learn, greedy, or numbers with commas between them, one a source."""
    train: Path | None = None
    """The exam with answers that the out-of-fold predictions belong to."""
    out_of_fold: tuple[Path, ...] = ()
    """One a source; otherwise each run's own oof.parquet."""
    second: Path | None = None
    """Who answers instead where the mix is unsure."""
    below: float = 0.1
    """Unsure: a margin between the two best choices of less than this."""


def ensemble(
    places: Sequence[Path],
    exam: Path,
    out: Path | None,
    wishes: EnsembleOptions,
    *,
    solution: Path | None = None,
    note: str = "",
) -> str:
    """Mix the answers of `places` to `exam`; the submission goes to `out`.

    Returns tables of weights and agreement, the gain over the best run with its interval where
    out-of-fold predictions are given, and what was written. Raises UserError where sources do
    not answer this exam, or where weights were to be learnt on what a model was trained on.
    """
    questions = read_exam(exam)
    key = read_answer_key(solution) if solution else None
    folder = out or SUBMISSIONS / "ensemble"
    check_folder(folder)
    sources = [read_source(place, questions) for place in places]
    _check_how(sources, wishes.how)
    weights, won = _weights(sources, places, wishes)
    mixed = average([source.scored for source in sources], weights, wishes.how)
    looked, second = 0, read_source(wishes.second, questions) if wishes.second else None
    if second:
        mixed, looked = second_look(mixed, second.scored, wishes.below)
    used = [*sources, second] if second else sources
    facts = _facts(sources, weights, wishes, won) | {"second_looks": looked}
    with atomic_directory(folder) as work:
        made_by = facts | {"trained_on": _all_trained(used)}
        write_predictions(work / PREDICTIONS, mixed, made_by)
        write_json(work / ENSEMBLE, facts)
        fill_folder(work, mixed, questions, key)
    answers = {row.id: row.answer for row in mixed}
    remember(folder, [s.path for s in used], halves_right(answers, key) if key else {}, note)
    parts = [_table(sources, weights, mixed), _matrix(sources)]
    parts += [gain_text(won)] if won else []
    if second:
        parts.append(f"{second.name} answers {looked} with a margin below {wishes.below:g}.")
    return "\n\n".join([*parts, describe(folder, questions, answers, key)])


def second_look(
    mixed: Sequence[ChoiceScores], second: Sequence[ChoiceScores], below: float
) -> tuple[list[ChoiceScores], int]:
    """The second's row wherever the first's margin is less than `below`, and how often."""
    rows = zip(mixed, second, strict=True)
    chosen = [other if row.margin < below else row for row, other in rows]
    return chosen, sum(row.margin < below for row in mixed)


def agreement(tables: Sequence[Sequence[ChoiceScores]]) -> list[list[float]]:
    """For each pair of predictions, the share of questions with the same answer."""
    picks = [[row.answer for row in table] for table in tables]
    return [
        [sum(a == b for a, b in zip(one, two, strict=True)) / len(one) for two in picks]
        for one in picks
    ]


def gain_text(won: Gain) -> str:
    """The gain for people, in points of accuracy."""
    low, middle, high = (100 * value for value in (won.low, won.difference, won.high))
    sure = "" if won.low > 0 else " The interval holds 0: it may be chance."
    return (
        f"Out of fold, weights and best run found on other passages: best run "
        f"{won.best:.4f}, ensemble {won.ensemble:.4f}: {middle:+.1f} points "
        f"(95 % {low:+.1f} to {high:+.1f}).{sure}"
    )


def _check_how(sources: Sequence[Source], how: How) -> None:
    plain = [source.path for source in sources if source.votes]
    if plain and how == "log-probabilities":
        raise UserError(
            f"{plain[0]}: holds answers only, whose logarithm is without bound. Take --how "
            "probabilities or --how votes."
        )


def _weights(
    sources: Sequence[Source], places: Sequence[Path], wishes: EnsembleOptions
) -> tuple[list[float], Gain | None]:
    """The weight of each source, and the gain where there is something to measure it on."""
    given = _given(wishes.weights, len(sources))
    if wishes.train is None:
        if given is None:
            raise UserError(
                f"--weights {wishes.weights}: learnt on out-of-fold predictions: give --train "
                "FILE, the exam with answers that they belong to."
            )
        return given, None
    import numpy as np

    from solution.submit.weights import gain, greedy, learn, stack

    train = read_exam(wishes.train, answers=True)
    tables = [s.scored for s in _held(places, wishes.out_of_fold, train)]
    answers = np.array([(question.answer or 1) - 1 for question in train.questions])
    stacked = stack(tables, wishes.how)
    if given is not None:
        fixed = np.array(given)
        return given, gain(
            stacked, answers, near_duplicate_groups(train.questions), lambda *_: fixed
        )
    choose = partial(learn if wishes.weights == "learn" else greedy, how=wishes.how)
    won = gain(stacked, answers, near_duplicate_groups(train.questions), choose)
    return [float(weight) for weight in choose(stacked, answers)], won


def _given(weights: str, number: int) -> list[float] | None:
    """The weights as told; None where they are to be learnt."""
    if weights in ("learn", "greedy"):
        return None
    if weights == "equal":
        return [1 / number] * number
    try:
        told = [float(part) for part in weights.split(",")]
    except ValueError:
        told = []
    if len(told) != number or not all(0 <= w < 1e9 for w in told) or not sum(told):
        raise UserError(
            f"--weights {weights}: expected equal, learn, greedy or {number} numbers of no "
            "less than 0, one a source, with commas between them."
        )
    return [weight / sum(told) for weight in told]


def _held(places: Sequence[Path], told: Sequence[Path], train: Exam) -> list[Source]:
    if told and len(told) != len(places):
        raise UserError(f"--oof: {len(told)} given for {len(places)} sources; give one each.")
    return [out_of_fold(place, train) for place in told or places]


def _all_trained(sources: Sequence[Source]) -> list[TrainedQuestion] | None:
    """What any of the models read; None where one does not say, so that nobody trusts it."""
    rows: dict[TrainedQuestion, None] = {}
    for source in sources:
        if source.trained is None:
            return None
        rows |= dict.fromkeys(source.trained)
    return list(rows)


def _facts(
    sources: Sequence[Source],
    weights: Sequence[float],
    wishes: EnsembleOptions,
    won: Gain | None,
) -> dict[str, Any]:
    members = [
        {"source": str(source.path), "sha256": source.sha256, "weight": weight}
        for source, weight in zip(sources, weights, strict=True)
    ]
    return {
        "how": wishes.how,
        "weights": wishes.weights,
        "members": members,
        "agreement": agreement([source.scored for source in sources]),
        "gain": won._asdict() if won else None,
        "second": str(wishes.second) if wishes.second else None,
        "below": wishes.below,
    }


def _table(
    sources: Sequence[Source], weights: Sequence[float], mixed: list[ChoiceScores]
) -> str:
    shares = agreement([mixed, *(source.scored for source in sources)])[0][1:]
    rows = [
        (f"{number} {source.name}", f"{weight:.4f}", f"{share:.4f}", str(source.path))
        for number, (source, weight, share) in enumerate(
            zip(sources, weights, shares, strict=True), start=1
        )
    ]
    return aligned(["source", "weight", "as ensemble", "file"], rows)


def _matrix(sources: Sequence[Source]) -> str:
    shares = agreement([source.scored for source in sources])
    rows = [
        (str(number), *(f"{share:.3f}" for share in line), source.name)
        for number, (line, source) in enumerate(zip(shares, sources, strict=True), start=1)
    ]
    header = ["same answer", *(str(number + 1) for number in range(len(sources))), ""]
    return aligned(header, rows)
