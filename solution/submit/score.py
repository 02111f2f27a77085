"""`submit score`: accuracy on both halves of the board, from a submission and the key."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from solution.core import ErrorCollector
from solution.exam import AnswerKey, read_answer_key, read_table
from solution.submit.checks import check_submission

MOST_CHOICES = 10
Z = 1.959964  # 95 % of a normal distribution


def score(file: Path, solution: Path) -> str:
    """A small table: right answers, rows, accuracy and 95 % interval of public, private, all.

    Raises UserError where the submission does not answer exactly the ids of the solution.
    """
    problems = ErrorCollector(str(file))
    key = read_answer_key(solution)
    table = read_table(file, problems)
    # The key does not say how many choices a row has; `validate` with the exam does.
    answers = check_submission(table, dict.fromkeys(key.answers, MOST_CHOICES), problems)
    problems.raise_if_any(f"Give the submission to the exam that {solution} is the key of.")
    return accuracy_table(answers, key)


def accuracy_table(answers: Mapping[str, int], key: AnswerKey) -> str:
    """The table of `score` for answers to every id of the key."""
    lines = [f"{'half':<8}{'right':>7}{'rows':>7}{'accuracy':>10}   95 % interval"]
    for half in ("Public", "Private", "all"):
        ids = [id for id in key.answers if half in (key.usage[id], "all")]
        right = sum(answers[id] == key.answers[id] for id in ids)
        line = f"{half.lower():<8}{right:>7}{len(ids):>7}"
        if ids:
            low, high = wilson(right, len(ids))
            line += f"{right / len(ids):>10.4f}   {low:.4f} to {high:.4f}"
        lines.append(line)
    return "\n".join(lines)


def halves_right(answers: Mapping[str, int], key: AnswerKey) -> dict[str, tuple[int, int]]:
    """Right answers and rows of `public` and `private`, of halves that have rows."""
    counts = {}
    for half in ("Public", "Private"):
        hits = [answers[id] == key.answers[id] for id in key.answers if key.usage[id] == half]
        if hits:
            counts[half.lower()] = (sum(hits), len(hits))
    return counts


def wilson(right: int, rows: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share, rows taken as independent."""
    share, spread = right / rows, Z * Z / rows
    centre = (share + spread / 2) / (1 + spread)
    half = math.sqrt(spread * (share * (1 - share) + spread / 4)) / (1 + spread)
    return max(0.0, centre - half), min(1.0, centre + half)
