"""Several orders of the choices: scored as one, averaged or rid of a liking for some places."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Literal

from solution.exam import Order, Prompt, Question, choice_orders, permute_choices
from solution.scoring.encode import Encoded, encode
from solution.scoring.engine import ChoiceScores, normalise

Debias = Literal["none", "pride"]
# As many as five choices have.
MOST_ORDERS = 120
# PriDe's prior comes from this share of the questions, and no fewer than that many.
PRIDE_SHARE, PRIDE_LEAST = 0.05, 16


@dataclass(frozen=True)
class Orders:
    """The orders in which each question is asked (its own first), and what is made of them.

    One entry a question in both; all orders of a question belong into one prefix tree.
    """

    questions: Sequence[Question]
    orders: list[list[Order]]
    debias: Debias

    def encode(self, prompt: Prompt, tokenizer: Any, max_length: int) -> list[list[Encoded]]:
        """Every question in each of its orders; raises UserError as `encode` does."""
        asked = zip(self.questions, self.orders, strict=True)
        flat = [
            permute_choices(question, order) for question, orders in asked for order in orders
        ]
        return self.grouped(encode(flat, prompt, tokenizer, max_length))

    def grouped(self, flat: Sequence[Any]) -> list[list[Any]]:
        """What belongs to all orders of all questions in a row, as one list a question."""
        rest = iter(flat)
        return [list(islice(rest, len(orders))) for orders in self.orders]

    def combined(self, scored: Sequence[Sequence[ChoiceScores]]) -> list[ChoiceScores]:
        """One answer a question, in its own order, from its answers in every order."""
        prior = self.priors(scored) if self.debias == "pride" else {}
        return [
            _average(orders, some, prior.get(len(orders[0])))
            for orders, some in zip(self.orders, scored, strict=True)
        ]

    def priors(self, scored: Sequence[Sequence[ChoiceScores]]) -> dict[int, tuple[float, ...]]:
        """How a model likes each place whatever stands there, by the number of choices.

        PriDe's estimate (Zheng et al., arXiv 2309.03882, equation 7): of each question that was
        asked in all rotations the normalised geometric mean of what the places got, and of
        these the mean.
        """
        found: dict[int, list[tuple[float, ...]]] = defaultdict(list)
        for some in scored:
            if len(some) > 1:
                found[len(some)].append(_place_prior(some))
        return {size: _means(own) for size, own in found.items()}


def orders_fault(permutations: int, debias: Debias) -> str:
    """What is wrong with this choice of options; blank where nothing is."""
    if not 1 <= permutations <= MOST_ORDERS:
        return f"permutations: expected a number from 1 to {MOST_ORDERS}, found {permutations}"
    if debias == "pride" and permutations > 1:
        return (
            f"permutations: {permutations} and debias: pride: take one of the two; pride asks "
            "a few questions in all rotations by itself, so leave permutations at 1"
        )
    return ""


def plan_orders(
    questions: Sequence[Question], permutations: int = 1, debias: Debias = "none"
) -> Orders:
    """The orders to ask: `permutations` of them each, or for PriDe all rotations of a few.

    PriDe takes a twentieth of the questions of each number of choices (at least 16), drawn by
    their ids; all others are asked in their own order alone.
    """
    if debias == "none":
        return Orders(questions, [choice_orders(q, permutations) for q in questions], debias)
    rotations = [choice_orders(question, len(question.choices)) for question in questions]
    by_size: dict[int, list[int]] = defaultdict(list)
    for i, orders in enumerate(rotations):
        if len(orders) > 1:
            by_size[len(orders)].append(i)
    drawn = {i for rows in by_size.values() for i in _draw(rows, questions)}
    return Orders(
        questions, [o if i in drawn else o[:1] for i, o in enumerate(rotations)], debias
    )


def _draw(rows: list[int], questions: Sequence[Question]) -> list[int]:
    count = max(PRIDE_LEAST, round(PRIDE_SHARE * len(rows)))
    ranked = sorted(rows, key=lambda i: hashlib.sha256(questions[i].id.encode()).digest())
    return ranked[:count]


def _average(
    orders: Sequence[Order], scored: Sequence[ChoiceScores], prior: tuple[float, ...] | None
) -> ChoiceScores:
    """The mean probability of each choice over the orders; one order alone loses the prior."""
    first = scored[0]
    if len(orders) == 1:
        if prior is None:
            return first
        pairs = zip(first.log_likelihood, prior, strict=True)
        return normalise(first.id, [value - math.log(liking) for value, liking in pairs])
    values = [
        _log_mean([one.log_likelihood[place] for place, one in _standing(i, orders, scored)])
        for i in range(len(orders[0]))
    ]
    answers = tuple(
        order[one.answer - 1] + 1 for order, one in zip(orders, scored, strict=True)
    )
    return replace(normalise(first.id, values), by_order=answers)


def _standing(
    choice: int, orders: Sequence[Order], scored: Sequence[ChoiceScores]
) -> Iterator[tuple[int, ChoiceScores]]:
    """Where the choice stands in each order, and what was scored there."""
    pairs = zip(orders, scored, strict=True)
    return ((order.index(choice), one) for order, one in pairs)


def _log_mean(values: Sequence[float]) -> float:
    top = max(values)
    return top + math.log(math.fsum(math.exp(v - top) for v in values) / len(values))


def _place_prior(rotations: Sequence[ChoiceScores]) -> tuple[float, ...]:
    means = [
        math.fsum(values) / len(rotations)
        for values in zip(*(one.log_likelihood for one in rotations), strict=True)
    ]
    return normalise(rotations[0].id, means).probability


def _means(priors: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
    return tuple(math.fsum(column) / len(priors) for column in zip(*priors, strict=True))
