"""Training and validation rows of one exam, with every passage on one side only."""

from __future__ import annotations

import random
import warnings
from collections import Counter, defaultdict
from collections.abc import Sequence

from solution.core import UserError
from solution.exam.near_duplicates import near_duplicate_groups
from solution.exam.question import Question

Stratum = tuple[int, int | None]


def split_validation(
    questions: Sequence[Question], fraction: float, seed: int
) -> tuple[list[int], list[int]]:
    """Return the indices (train, validation), each in ascending order.

    Groups of near-duplicate paragraphs stay together; validation gets about `fraction` of each
    stratum (number of choices, answer). The same questions and seed give the same split.

    Raises:
        UserError: There is no such split.

    """
    if not 0 < fraction < 1:
        raise UserError(
            f"validation fraction {fraction}: expected a number between 0 and 1, such as 0.1."
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
            f"into training and validation rows at {fraction}: give more passages or a "
            "separate validation file."
        )
    return train, validation


def split_folds(questions: Sequence[Question], folds: int, seed: int) -> list[int]:
    """Return the fold, 0 to folds - 1, of each question (StratifiedGroupKFold).

    Groups and strata are those of `split_validation`. Raises UserError for fewer than two
    folds or too few passages.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    groups = near_duplicate_groups(questions)
    if folds < 2 or len(set(groups)) < folds:
        raise UserError(
            f"{folds} folds of {len(set(groups))} different passages: expected 2 or more "
            "folds, and a passage for each."
        )
    strata = [str((len(question.choices), question.answer)) for question in questions]
    fold_of = [0] * len(questions)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a rare stratum may be smaller than `folds`
        for fold, (_, held_out) in enumerate(splitter.split(fold_of, strata, groups)):
            for index in held_out:
                fold_of[index] = fold
    if len(set(fold_of)) < folds:
        raise UserError(f"{folds} folds: one would be empty. Use fewer folds.")
    return fold_of


def _choose(
    groups: Sequence[list[int]], strata: Sequence[Stratum], fraction: float
) -> list[list[int]]:
    """Choose groups for validation.

    First the groups that bring every stratum closer to its target, then, in the order of their
    cost, those that bring the total closer to its target.
    """
    target = {stratum: fraction * count for stratum, count in Counter(strata).items()}
    sizes: Counter[Stratum] = Counter()
    chosen, left = [], []
    for group in groups:
        if _cost(group, strata, target, sizes) < 0:
            sizes.update(strata[index] for index in group)
            chosen.append(group)
        else:
            left.append(group)
    for group in sorted(left, key=lambda g: _cost(g, strata, target, sizes)):
        missing = fraction * len(strata) - sizes.total()
        if abs(missing - len(group)) < abs(missing):
            sizes.update(strata[index] for index in group)
            chosen.append(group)
    return chosen


def _cost(
    group: Sequence[int],
    strata: Sequence[Stratum],
    target: dict[Stratum, float],
    sizes: Counter[Stratum],
) -> float:
    """Increase in squared deviation from the target stratum sizes."""
    added = Counter(strata[index] for index in group)
    return sum(
        (sizes[s] + n - target[s]) ** 2 - (sizes[s] - target[s]) ** 2 for s, n in added.items()
    )
