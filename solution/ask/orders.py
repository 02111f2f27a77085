"""One question under every turn of its choices: is it the text or the place that is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from solution.core import UserError
from solution.exam import Prompt, Question
from solution.models import LoadedModel
from solution.scoring import encode, score

MOST = 10


class Answered(NamedTuple):
    """What a model gives to each choice, in the question's own order."""

    orders: list[list[float]]
    """The probabilities under each order; the first is the order as asked."""
    mean: list[float]

    @property
    def answer(self) -> int:
        """The best choice as asked, from 1."""
        return self.orders[0].index(max(self.orders[0])) + 1

    @property
    def steady(self) -> int:
        """Under how many of the orders that same choice is the best."""
        return sum(one.index(max(one)) + 1 == self.answer for one in self.orders)


def turned(question: Question) -> list[Question]:
    """The question with its choices turned by 0, 1, 2 ... places: each stands once in each.

    All turns are shown, also where a choice names others: whoever looks sees that they do.
    """
    own = question.choices
    turns = range(len(own))
    return [replace(question, id=str(t), choices=own[t:] + own[:t], answer=None) for t in turns]


def answer_turned(loaded: LoadedModel, question: Question, prompt: Prompt) -> Answered:
    """Score every turn. Raises UserError where the question is too long for the model."""
    asked = turned(question)
    encoded = encode(asked, prompt, loaded.tokenizer, loaded.max_length)
    number = len(question.choices)
    orders = []
    for turn, scored in enumerate(score(loaded, encoded)):
        back = [scored.probability[(place - turn) % number] for place in range(number)]
        orders.append(back)
    mean = [sum(column) / number for column in zip(*orders, strict=True)]
    return Answered(orders, mean)


def as_question(paragraph: str, text: str, plus: str, choices: str) -> Question:
    """The question as typed, one choice a line; UserError where something is missing."""
    lines: Sequence[str] = [line.strip() for line in choices.splitlines() if line.strip()]
    if not text.strip():
        raise UserError("The question is blank.")
    if not 2 <= len(lines) <= MOST:
        raise UserError(f"{len(lines)} choices: give 2 to {MOST}, one a line.")
    return Question("asked", paragraph.strip(), text.strip(), tuple(lines), None, plus.strip())
