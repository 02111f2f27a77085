"""Choices in another order, the answer following its text."""

from __future__ import annotations

import math
import random
import re
from dataclasses import replace

from solution.exam.question import Question

# For each place the choice (from 0) that stands there.
Order = tuple[int, ...]

# Choices that speak of other choices, or of the order itself, mean something else elsewhere.
# A row too many here stays in its order, which does no harm; one too few would be wrong.
REFERRING = re.compile(
    r"""
    [①-⑳]                                               # ①과 ②
    | (?<!\d)[1-9]\s*번(?!째)                             # 1번과 3번
    | ^\W*[A-Ea-e1-9]\W*(와|과|및|,|and|&)\W*[A-Ea-e1-9]\W*$   # A와 B
    | (?<![가-힣])위의 | ^\W*(위|이상|상기|앞)\s | (선택지|보기)\s*(중|모두|전부)
    | ^\W*(모두|전부|둘\s*다)(?!가)
    | (모두|전부|둘\s*다)\s*(다\s*)?(정답|옳|맞|틀|해당|아니|포함|그르|참|거짓)
    | (정답|답|해당|옳은\s*것|맞는\s*것)\s*(사항\s*)?(은|이|이\s*)?\s*없 | ^\W*없(음|다)\W*$
    | \b(all|none|both|neither|any|either|some)\s+of\s+(the|these|those)\b
    | \b(both|neither)\s+\(?[a-e1-9]\b | \b(the\s+above|the\s+other\s+choices)\b
    """,
    re.VERBOSE | re.IGNORECASE,
)


def shuffle_choices(question: Question, rng: random.Random) -> Question:
    """The question with its choices in an order drawn from `rng`, its answer following.

    A question with a choice that refers to others comes back as it is.
    """
    if _refers(question):
        return question
    order = list(range(len(question.choices)))
    rng.shuffle(order)
    return permute_choices(question, tuple(order))


def choice_orders(question: Question, count: int) -> list[Order]:
    """The first `count` orders of a question's choices, its own one first.

    The rotations come first (after all of them each choice has stood at each place once), then
    others drawn from the question's id. Fewer where no more exist; its own alone where a choice
    refers to others. A smaller `count` gives the beginning of the same list.
    """
    size = len(question.choices)
    own = tuple(range(size))
    if _refers(question):
        return [own]
    orders = [own[first:] + own[:first] for first in range(min(size, count))]
    rng = random.Random(question.id)
    while len(orders) < min(count, math.factorial(size)):
        drawn = tuple(rng.sample(own, size))
        if drawn not in orders:
            orders.append(drawn)
    return orders


def permute_choices(question: Question, order: Order) -> Question:
    """The question with its choices in this order, its answer following."""
    answer = None if question.answer is None else order.index(question.answer - 1) + 1
    return replace(question, choices=tuple(question.choices[i] for i in order), answer=answer)


def _refers(question: Question) -> bool:
    return any(REFERRING.search(choice) for choice in question.choices)
