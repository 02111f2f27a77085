"""The gate: which questions are answered better with the passages that were found for them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from solution.core import Config, UserError
from solution.exam import Question
from solution.kowiki.index import Hit

LEAST = 12
"""With fewer questions that passages decide, nothing finer than open or shut is learnt."""
FOLDS = 5
_NEGATIVE = re.compile(r"않|없는|아닌|틀린|거리가 먼|부적절")


class Found(NamedTuple):
    """What a search for one question brought: passages, best first, and their likeness."""

    hits: tuple[Hit, ...]
    likeness: tuple[float, ...]
    """For each hit the share of the question's bigrams that it holds, in 0..1."""


NOTHING = Found((), ())


class Gate(Config):
    """A logistic regression on what a question and its passages look like; JSON, no pickle."""

    mean: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    weights: tuple[float, ...] = ()
    bias: float = 0.0
    """Without weights the gate is open for all where this is positive, else shut."""
    learnt_from: int = 0
    """Validation questions that only one of the two ways answered right."""

    def opens(self, question: Question, found: Found) -> bool:
        """Whether to answer this question with its passages."""
        if not found.hits:
            return False
        seen = zip(features(question, found), self.mean, self.scale, self.weights, strict=False)
        return self.bias + sum(w * (x - m) / s for x, m, s, w in seen) > 0


def features(question: Question, found: Found) -> list[float]:
    """What the gate looks at; nothing of the model, so that one pass answers the question."""
    scores = [hit.score for hit in found.hits]
    told = " ".join(hit.passage.titled for hit in found.hits)
    named = [holds(told, choice) for choice in question.choices]
    query = bigrams(" ".join((question.question, *question.choices)))
    return [
        float(bool(question.paragraph)),
        len(question.paragraph) / 100,
        max(found.likeness),
        scores[0] / max(1, len(query)),
        (scores[0] - scores[1]) / scores[0] if len(scores) > 1 else 1.0,
        max(named) - sum(named) / len(named),
        float(bool(_NEGATIVE.search(question.question))),
    ]


def learn_gate(
    questions: Sequence[Question],
    found: Sequence[Found],
    right_without: Sequence[bool],
    right_with: Sequence[bool],
) -> tuple[Gate, list[bool]]:
    """The gate learnt on these questions, and for each what a gate learnt without it says.

    Only questions that exactly one of the two ways answers right teach anything. The second
    value (cross-fitted in FOLDS parts) is the honest one to report on the same questions.
    """
    told = [i for i, f in enumerate(found) if f.hits and right_without[i] != right_with[i]]
    rows = {i: features(questions[i], found[i]) for i in told}
    better = {i: right_with[i] for i in told}
    gates = [
        _fit(
            [rows[i] for i in told if i % FOLDS != fold],
            [better[i] for i in told if i % FOLDS != fold],
        )
        for fold in range(FOLDS)
    ]
    held = [
        gates[i % FOLDS].opens(question, one)
        for i, (question, one) in enumerate(zip(questions, found, strict=True))
    ]
    return _fit(list(rows.values()), list(better.values())), held


def _fit(rows: list[list[float]], better: list[bool]) -> Gate:
    if len(rows) < LEAST or len(set(better)) < 2:
        # Without evidence against them passages are shown: the likeness floor has let them in.
        return Gate(bias=1.0 if 2 * sum(better) >= len(better) else -1.0, learnt_from=len(rows))
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(rows)
    fitted: Any = LogisticRegression(C=0.3).fit(scaler.transform(rows), better)
    return Gate(
        mean=tuple(map(float, scaler.mean_)),
        scale=tuple(map(float, scaler.scale_)),
        weights=tuple(map(float, fitted.coef_[0])),
        bias=float(fitted.intercept_[0]),
        learnt_from=len(rows),
    )


def read_gate(path: Path) -> Gate:
    """The gate of a fine-tuning. Raises UserError for a file that is absent or no gate."""
    try:
        return Gate.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        raise UserError(
            f"{path}: no gate ({type(error).__name__}). Name the gate.json of a fine-tuning."
        ) from error


def holds(text: str, part: str) -> float:
    """The share of the character bigrams of `part`'s words that stand in `text`, in 0..1."""
    wanted = bigrams(part)
    return len(wanted & bigrams(text)) / len(wanted) if wanted else 0.0


@cache
def bigrams(text: str) -> frozenset[str]:
    """The character bigrams within the words of a text."""
    words = "".join(c if c.isalnum() else " " for c in text.lower()).split()
    return frozenset(word[i : i + 2] for word in words for i in range(len(word) - 1))
