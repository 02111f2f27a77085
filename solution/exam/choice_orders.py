"""Questions with their choices in another order; the answer follows its text."""

from __future__ import annotations

import math
import random
import re
from dataclasses import replace

from solution.exam.question import Question

# The index of the choice (from 0) at each position.
Order = tuple[int, ...]

# Choices that refer to other choices or to the order itself change their meaning elsewhere.
# A false match keeps a row in its order, which is harmless; a miss would make it wrong.
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
    """Shuffle the choices with `rng`, unless one of them refers to others."""
    if refers_to_other_choices(question):
        return question
    order = list(range(len(question.choices)))
    rng.shuffle(order)
    return permute_choices(question, tuple(order))


def choice_orders(question: Question, count: int) -> list[Order]:
    """Return the first `count` orders of a question's choices, the original one first.

    Rotations come first (all of them put each choice at each position once), then orders drawn
    from the question's id. Fewer where no more exist, the original alone where a choice refers
    to others. A smaller `count` gives a prefix of the same list.
    """
    size = len(question.choices)
    original = tuple(range(size))
    if refers_to_other_choices(question):
        return [original]
    orders = [original[first:] + original[:first] for first in range(min(size, count))]
    rng = random.Random(question.id)
    while len(orders) < min(count, math.factorial(size)):
        drawn = tuple(rng.sample(original, size))
        if drawn not in orders:
            orders.append(drawn)
    return orders


def permute_choices(question: Question, order: Order) -> Question:
    """Put the choices into this order; the answer follows."""
    answer = None if question.answer is None else order.index(question.answer - 1) + 1
    return replace(question, choices=tuple(question.choices[i] for i in order), answer=answer)


def refers_to_other_choices(question: Question) -> bool:
    """Whether a choice names other choices, such as "①과 ②" or "모두 옳다"."""
    return any(REFERRING.search(choice) for choice in question.choices)
