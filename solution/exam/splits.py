"""Training and validation rows of one exam: no passage on both sides, every stratum on each."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence

from solution.core import UserError
from solution.exam.passages import near_duplicate_groups
from solution.exam.question import Question

Stratum = tuple[int, int | None]


def split_validation(
    questions: Sequence[Question], fraction: float, seed: int
) -> tuple[list[int], list[int]]:
    """Indices (train, validation), each in the questions' order.

    Whole passages (`near_duplicate_groups`) go to one side; validation gets about `fraction`
    of every (number of choices, answer). The same questions and seed give the same split.
    Raises UserError where no such split exists.
    """
    if not 0 < fraction < 1:
        raise UserError(
            f"validation fraction {fraction}: expected a number between 0 and 1 (say 0.1)."
        )
    members = defaultdict(list)
    for index, group in enumerate(near_duplicate_groups(questions)):
        members[group].append(index)
    groups = list(members.values())
    random.Random(seed).shuffle(groups)
    chosen = _choose(groups, [(len(q.choices), q.answer) for q in questions], fraction)
    validation = sorted(index for group in chosen for index in group)
    train = sorted(set(range(len(questions))) - set(validation))
    if not train or not validation:
        raise UserError(
            f"{len(questions)} questions on {len(groups)} different passages cannot be split "
            f"into training and validation rows at {fraction}: give more passages, or a "
            "separate validation file."
        )
    return train, validation


def split_folds(questions: Sequence[Question], folds: int, seed: int) -> list[int]:
    """The fold, 0 to folds - 1, of each question: every passage whole in one of them.

    Each fold gets about its share of every (number of choices, answer), by scikit-learn's
    StratifiedGroupKFold. Raises UserError for fewer than two folds or too few passages.
    """
    import warnings

    from sklearn.model_selection import StratifiedGroupKFold

    groups = near_duplicate_groups(questions)
    if folds < 2 or len(set(groups)) < folds:
        raise UserError(
            f"{folds} folds of {len(set(groups))} different passages: expected 2 or more "
            "folds, and a passage for each."
        )
    strata = [str((len(question.choices), question.answer)) for question in questions]
    found = [0] * len(questions)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a rare answer need not stand in every fold
        for number, (_, held) in enumerate(splitter.split(found, strata, groups)):
            for index in held:
                found[index] = number
    if len(set(found)) < folds:
        raise UserError(f"{folds} folds: one would be empty. Take fewer folds.")
    return found


def _choose(
    groups: Sequence[list[int]], strata: Sequence[Stratum], fraction: float
) -> list[list[int]]:
    """Groups for validation.

    First those that bring every stratum nearer its share, then, least harmful first, those
    that bring the whole nearer its share.
    """
    share = {stratum: fraction * count for stratum, count in Counter(strata).items()}
    have: Counter[Stratum] = Counter()
    chosen, left = [], []
    for group in groups:
        if _harm(group, strata, share, have) < 0:
            have.update(strata[index] for index in group)
            chosen.append(group)
        else:
            left.append(group)
    for group in sorted(left, key=lambda g: _harm(g, strata, share, have)):
        short = fraction * len(strata) - have.total()
        if abs(short - len(group)) < abs(short):
            have.update(strata[index] for index in group)
            chosen.append(group)
    return chosen


def _harm(
    group: Sequence[int],
    strata: Sequence[Stratum],
    share: dict[Stratum, float],
    have: Counter[Stratum],
) -> float:
    """How much further from its shares validation is with the group, in squares."""
    more = Counter(strata[index] for index in group)
    return sum(
        (have[s] + n - share[s]) ** 2 - (have[s] - share[s]) ** 2 for s, n in more.items()
    )
