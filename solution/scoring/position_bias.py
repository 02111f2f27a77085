"""Several orders of a question's choices: averaged, or corrected for position bias (PriDe)."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Literal

from solution.exam import Order, Prompt, Question, choice_orders, permute_choices
from solution.models import ChatTemplate
from solution.scoring.encode import Encoded, encode
from solution.scoring.scorer import ChoiceScores, normalise

Debias = Literal["none", "pride"]
# The number of orders of five choices.
MAX_ORDERS = 120
# PriDe estimates its prior from this fraction of the questions, and at least so many.
PRIDE_FRACTION, PRIDE_MIN = 0.05, 16


@dataclass(frozen=True)
class Orders:
    """The orders in which each question is scored, its own first; one list per question."""

    questions: Sequence[Question]
    orders: list[list[Order]]
    debias: Debias

    def encode(
        self, prompt: Prompt, chat: ChatTemplate, max_length: int
    ) -> list[list[Encoded]]:
        """Encode every question in each of its orders; raises UserError as `encode` does."""
        pairs = zip(self.questions, self.orders, strict=True)
        flat = [permute_choices(q, order) for q, orders in pairs for order in orders]
        return self.group(encode(flat, prompt, chat, max_length))

    def group(self, flat: Sequence[Any]) -> list[list[Any]]:
        """Split a flat list over all orders of all questions into one list per question."""
        rest = iter(flat)
        return [list(islice(rest, len(orders))) for orders in self.orders]

    def combine(self, scored: Sequence[Sequence[ChoiceScores]]) -> list[ChoiceScores]:
        """Return one score per question, in its own order, from its scores in every order."""
        priors = self.position_priors(scored) if self.debias == "pride" else {}
        pairs = zip(self.orders, scored, strict=True)
        return [_combine(orders, some, priors.get(len(orders[0]))) for orders, some in pairs]

    def position_priors(
        self, scored: Sequence[Sequence[ChoiceScores]]
    ) -> dict[int, tuple[float, ...]]:
        """Return the model's prior over positions, by the number of choices.

        PriDe (Zheng et al., arXiv 2309.03882, equation 7): the mean over the questions that
        were scored in all rotations of the normalised geometric mean of each position.
        """
        found: dict[int, list[tuple[float, ...]]] = defaultdict(list)
        for some in scored:
            if len(some) > 1:
                columns = zip(*(one.log_likelihood for one in some), strict=True)
                logs = [math.fsum(column) / len(some) for column in columns]
                found[len(some)].append(normalise(some[0].id, logs).probability)
        return {
            size: tuple(math.fsum(column) / len(own) for column in zip(*own, strict=True))
            for size, own in found.items()
        }


def orders_fault(permutations: int, debias: Debias) -> str:
    """Return what is wrong with this combination of options, '' where nothing is."""
    if not 1 <= permutations <= MAX_ORDERS:
        return f"permutations: expected a number from 1 to {MAX_ORDERS}, found {permutations}"
    if debias == "pride" and permutations > 1:
        return (
            f"permutations: {permutations} and debias: pride exclude each other: pride scores "
            "a few questions in all rotations by itself, so leave permutations at 1"
        )
    return ""


def plan_orders(
    questions: Sequence[Question], permutations: int = 1, debias: Debias = "none"
) -> Orders:
    """Return the orders to score: `permutations` of each question, or PriDe's rotations.

    PriDe takes a twentieth of the questions of each number of choices (at least 16), selected
    by their ids, in all rotations; all others in their own order alone.
    """
    if debias == "none":
        return Orders(questions, [choice_orders(q, permutations) for q in questions], debias)
    rotations = [choice_orders(question, len(question.choices)) for question in questions]
    by_size: dict[int, list[int]] = defaultdict(list)
    for i, orders in enumerate(rotations):
        if len(orders) > 1:
            by_size[len(orders)].append(i)
    selected = {i for rows in by_size.values() for i in _select(rows, questions)}
    chosen = [some if i in selected else some[:1] for i, some in enumerate(rotations)]
    return Orders(questions, chosen, debias)


def _select(rows: list[int], questions: Sequence[Question]) -> list[int]:
    count = max(PRIDE_MIN, round(PRIDE_FRACTION * len(rows)))
    return sorted(rows, key=lambda i: hashlib.sha256(questions[i].id.encode()).digest())[:count]


def _combine(
    orders: Sequence[Order], scored: Sequence[ChoiceScores], prior: tuple[float, ...] | None
) -> ChoiceScores:
    """Average each choice's probability over orders; correct a single order by the prior."""
    first = scored[0]
    if len(orders) == 1:
        if prior is None:
            return first
        pairs = zip(first.log_likelihood, prior, strict=True)
        corrected = normalise(first.id, [value - math.log(bias) for value, bias in pairs])
        return replace(corrected, label_mass=first.label_mass)
    values = []
    for choice in range(len(orders[0])):
        both = zip(orders, scored, strict=True)
        logs = [one.log_likelihood[order.index(choice)] for order, one in both]
        top = max(logs)
        total = math.fsum(math.exp(value - top) for value in logs)
        values.append(top + math.log(total / len(logs)))
    both = zip(orders, scored, strict=True)
    answers = tuple(order[one.answer - 1] + 1 for order, one in both)
    masses = [one.label_mass for one in scored if one.label_mass is not None]
    mass = math.fsum(masses) / len(masses) if masses else None
    return replace(normalise(first.id, values), by_order=answers, label_mass=mass)
