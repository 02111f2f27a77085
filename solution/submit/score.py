"""`submit score` and `submit shakeup`: accuracy by half, and the private score to expect."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from solution.core import ErrorCollector, UserError
from solution.exam import AnswerKey, Exam, public_private_split, read_answer_key, read_table
from solution.submit.files import PRIVATE, PUBLIC, SUBMISSION, check_rows

MAX_CHOICES = 10
CONFIDENCE = 0.95
Z = 1.959964  # 97.5 % quantile of the normal distribution
PUBLIC_ROWS, PRIVATE_ROWS = 434, 435  # of the contest


def score(file: Path, solution: Path) -> str:
    """Return a table of accuracy with 95 % intervals for public, private and all rows.

    Raises UserError if the submission does not answer exactly the ids of the key.
    """
    problems = ErrorCollector(str(file))
    key = read_answer_key(solution)
    table = read_table(file, problems)
    # The key has no number of choices per row; `validate` with the exam checks it.
    answers = check_rows(table, dict.fromkeys(key.answers, MAX_CHOICES), problems)
    problems.raise_if_any(f"Give a submission to the exam that {solution} is the key of.")
    return accuracy_table(answers, key)


def accuracy_table(answers: Mapping[str, int], key: AnswerKey) -> str:
    """Format the table of `score` for answers to every id of the key."""
    counts = correct_by_half(answers, key)
    total = tuple(map(sum, zip(*counts.values(), strict=True)))
    lines = [f"{'half':<8}{'right':>7}{'rows':>7}{'accuracy':>10}   95 % interval"]
    for half, pair in (
        *((half, counts.get(half)) for half in ("public", "private")),
        ("all", total),
    ):
        right, rows = pair or (0, 0)
        line = f"{half:<8}{right:>7}{rows:>7}"
        if rows:
            low, high = wilson(right, rows)
            line += f"{right / rows:>10.4f}   {low:.4f} to {high:.4f}"
        lines.append(line)
    return "\n".join(lines)


def correct_by_half(answers: Mapping[str, int], key: AnswerKey) -> dict[str, tuple[int, int]]:
    """Return correct answers and rows of `public` and `private`, where a half has rows."""
    counts = {}
    for half in ("Public", "Private"):
        hits = [answers[id] == key.answers[id] for id in key.answers if key.usage[id] == half]
        if hits:
            counts[half.lower()] = (sum(hits), len(hits))
    return counts


def describe(
    folder: Path, exam: Exam, answers: Mapping[str, int], key: AnswerKey | None = None
) -> str:
    """Describe a written submission: files, accuracy if the key is known, the next command."""
    usage = list((key.usage if key else public_private_split(list(answers))).values())
    lines = [
        f"{folder / SUBMISSION}  {len(answers)} rows",
        f"{folder / PUBLIC}  {usage.count('Public')} rows",
        f"{folder / PRIVATE}  {usage.count('Private')} rows",
    ]
    if key:
        lines += ["", accuracy_table(answers, key)]
    check = f"./run.sh submit validate {folder / SUBMISSION} --exam {exam.path}"
    return "\n".join([*lines, "", f"Next: {check}"])


def wilson(right: int, rows: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a proportion, rows taken as independent."""
    share, spread = right / rows, Z * Z / rows
    centre = (share + spread / 2) / (1 + spread)
    half = math.sqrt(spread * (share * (1 - share) + spread / 4)) / (1 + spread)
    return max(0.0, centre - half), min(1.0, centre + half)


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
