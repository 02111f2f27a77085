"""`submit score` and `submit shakeup`: accuracy by half, and the private score to expect."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from solution.core import ErrorCollector, UserError
from solution.exam import (
    MAX_CHOICES,
    AnswerKey,
    SubmissionFormat,
    read_answer_key,
    read_table,
)
from solution.submit.files import check_rows, format_of

CONFIDENCE = 0.95
PUBLIC_ROWS, PRIVATE_ROWS = 434, 435  # of the contest


def score(file: Path, solution: Path) -> str:
    """Return a table of accuracy with 95 % intervals for public, private and all rows.

    Raises UserError if the submission does not answer exactly the ids of the key.
    """
    problems = ErrorCollector(str(file))
    key = read_answer_key(solution)
    table = read_table(file, problems)
    named = len(table.columns) == 2 and table.columns[0] not in key.answers
    form = format_of(table) if named else SubmissionFormat()
    # Order and number of choices are not in the key; `validate` with the exam checks them.
    ids = (row.fields[table.columns[0]] for row in table.rows)
    expected = dict.fromkeys(
        [*(id for id in ids if id in key.answers), *key.answers], MAX_CHOICES
    )
    answers = check_rows(table, expected, problems, form)
    problems.raise_if_any(f"Give a submission to the exam that {solution} is the key of.")
    return accuracy_table(answers, key)


def accuracy_table(answers: Mapping[str, int], key: AnswerKey) -> str:
    """Format the table of `score` for answers to every id of the key."""
    counts = correct_by_half(answers, key)
    counts["all"] = (sum(c for c, _ in counts.values()), len(answers))
    lines = [f"{'half':<8}{'right':>7}{'rows':>7}{'accuracy':>10}   95 % interval"]
    for half in ("public", "private", "all"):
        right, rows = counts.get(half, (0, 0))
        lines.append(f"{half:<8}{right:>7}{rows:>7}")
        if rows:
            low, high = wilson(right, rows)
            lines[-1] += f"{right / rows:>10.4f}   {low:.4f} to {high:.4f}"
    return "\n".join(lines)


def correct_by_half(answers: Mapping[str, int], key: AnswerKey) -> dict[str, tuple[int, int]]:
    """Return correct answers and rows of `public` and `private`, where a half has rows."""
    counts = {}
    for half in ("Public", "Private"):
        hits = [answers[id] == key.answers[id] for id in key.answers if key.usage[id] == half]
        if hits:
            counts[half.lower()] = (sum(hits), len(hits))
    return counts


def wilson(right: int, rows: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a proportion, rows taken as independent."""
    from scipy.stats import binomtest

    interval = binomtest(right, rows).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


def private_interval(right: int, public_rows: int, rows: int) -> tuple[float, float]:
    """Return the 95 % prediction interval of the private accuracy over `rows` questions.

    Beta-binomial with Jeffreys prior (Brown, Cai and DasGupta 2001). Questions count as
    independent, and the submission as not selected by its public score.
    """
    from scipy.stats import betabinom

    posterior = betabinom(rows, right + 0.5, public_rows - right + 0.5)
    low, high = posterior.interval(CONFIDENCE)
    return float(low) / rows, float(high) / rows


def correct_count(score: float, rows: int) -> int:
    """Return the number of correct answers behind a score of four digits."""
    right = round(score * rows) if 0 <= score <= 1 else -1
    if right < 0 or rows < 1 or abs(right / rows - score) > 5.1e-5:
        raise UserError(
            f"{score:g} is not the accuracy of a whole number of {rows} questions. Give the "
            "score as a proportion with four digits, and --rows."
        )
    return right


def shakeup(score: float, rows: int = PUBLIC_ROWS, private_rows: int = PRIVATE_ROWS) -> str:
    """Describe the private score to expect, given the public one."""
    right = correct_count(score, rows)
    low, high = private_interval(right, rows, private_rows)
    return (
        f"{right} of {rows} correct on the public half ({score:.4f}): the private score over "
        f"{private_rows} questions is between {low:.4f} and {high:.4f} with 95 % probability. "
        "A submission selected by its public score is more often below the middle."
    )
