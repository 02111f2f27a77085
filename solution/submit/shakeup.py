"""What the private half will say, given the public one: the shake-up to expect."""

from __future__ import annotations

from solution.core import UserError

LEVEL = 0.95
ROWS = 434
PRIVATE_ROWS = 435


def private_interval(right: int, public_rows: int, rows: int) -> tuple[float, float]:
    """The 95 % interval of the private accuracy over `rows` questions.

    The accuracy behind a public score of `right` of `public_rows` is not known itself, so the
    private count is beta-binomial: a posterior from Jeffreys's prior, then a draw (Brown, Cai
    and DasGupta 2001 for the prior). Questions are taken as independent and the submission as
    one that was not picked for its public score.
    """
    from scipy.stats import betabinom

    spread = betabinom(rows, right + 0.5, public_rows - right + 0.5)
    low, high = spread.ppf((1 - LEVEL) / 2), spread.ppf((1 + LEVEL) / 2)
    return float(low) / rows, float(high) / rows


def right_answers(score: float, rows: int) -> int:
    """The count behind a score of four digits; UserError where there is none."""
    right = round(score * rows) if 0 <= score <= 1 else -1
    if right < 0 or rows < 1 or abs(right / rows - score) > 5.1e-5:
        raise UserError(
            f"{score:g} is not the accuracy of a whole number of {rows} questions. Give the "
            "score as a share with four digits, and --rows."
        )
    return right


def shakeup(score: float, rows: int = ROWS, private_rows: int = PRIVATE_ROWS) -> str:
    """What to expect of the private score, in one sentence."""
    right = right_answers(score, rows)
    low, high = private_interval(right, rows, private_rows)
    return (
        f"{right} of {rows} right on the public half ({score:.4f}): the private score over "
        f"{private_rows} questions lies between {low:.4f} and {high:.4f} in 95 % of cases. "
        "A submission picked for its public score will more often lie below the middle."
    )
