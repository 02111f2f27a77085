"""Self-consistency: what several texts on one question agree on."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from solution.scoring.parse_answer import ParsedAnswer
from solution.scoring.scorer import ChoiceScores, normalise


def majority_vote(
    id: str, choices: int, readings: Sequence[ParsedAnswer]
) -> ChoiceScores | None:
    """The answer that most texts give, the first of several; None where no text gives any.

    A choice's probability is its share of the votes with one vote more spread over all choices
    (so that none has none). Self-consistency: Wang et al., arXiv 2203.11171.
    """
    answers = [one.answer for one in readings if one.answer is not None]
    if not answers:
        return None
    votes = Counter(answers)
    values = [math.log(votes[choice] + 1 / choices) for choice in range(1, choices + 1)]
    best = max(votes, key=lambda answer: (votes[answer], -answers.index(answer)))
    return replace(normalise(id, values), answer=best)
