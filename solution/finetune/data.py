"""From questions to training rows: mixing, shuffling, the mask over all but the answer."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from solution.exam import (
    Prompt,
    Question,
    shuffle_choices,
)
from solution.finetune.instructions import (
    Instruction,
    fitting,
)
from solution.finetune.mix import NONE, Wiki, drawn, text_row
from solution.finetune.packing import NOT_SUPERVISED, Row
from solution.finetune.recipe import Recipe
from solution.finetune.rowset import Rows, ordered
from solution.finetune.tokens import end_token
from solution.scoring import Encoded, encode


def build_rows(
    recipe: Recipe,
    questions: Sequence[Question],
    prompt: Prompt,
    tokenizer: Any,
    max_length: int,
    *,
    wiki: Wiki = NONE,
    shown: Mapping[str, Question] | None = None,
    instructions: Sequence[Instruction] = (),
) -> Rows:
    """The rows of all epochs in one dataset of `id`, `input_ids`, `labels`, in training order.

    Every epoch has its own order of questions and choices, drawn from the seed, so a resumed
    training reads on exactly where it was. Of questions only the answer and the end token are
    supervised, of a wiki's text every token.
    """
    end, size = end_token(tokenizer), effective_batch(recipe)
    steps = recipe.train.max_steps
    wanted = size * steps if steps else None
    rows: list[Row] = []
    truncated: set[str] = set()
    told, dropped = fitting(instructions, tokenizer, end, max_length, NOT_SUPERVISED)
    for epoch in range(recipe.train.epochs):
        if wanted and len(rows) >= wanted:
            break
        asked, read = mixed(recipe, questions, wiki, epoch)
        asked = [_with_passages(recipe, q, shown or {}, epoch) for q in asked]
        if wanted and not read and not told:
            asked = asked[: wanted - len(rows)]
        encoded = encode(asked, prompt, tokenizer, max_length)
        truncated |= {row.id for row in encoded if row.truncated_tokens}
        both = zip(encoded, asked, strict=True)
        whole = recipe.train.loss == "all"
        drawn = [supervised(row, question.answer, end, whole=whole) for row, question in both]
        if read or told:
            texts = [text_row(text, tokenizer, end, max_length) for text in read]
            drawn += [_row(f"wiki/{epoch}/{i}", *pair) for i, pair in enumerate(texts)]
            drawn += [_row(f"instruction/{i}", *pair) for i, pair in enumerate(told)]
            random.Random(f"{recipe.data.seed}/{epoch}/mix").shuffle(drawn)
        rows += drawn
    return Rows(ordered(rows[:wanted], size), len(truncated), dropped)


def mixed(
    recipe: Recipe, questions: Sequence[Question], wiki: Wiki, epoch: int
) -> tuple[list[Question], list[str]]:
    """One epoch's questions, of the training file and the wiki, and the wiki's passages."""
    plan, seed = recipe.data.kowiki, f"{recipe.data.seed}"
    if plan is None:
        return draw(recipe, questions, epoch), []
    count = round(plan.questions_share * len(questions))
    asked = drawn(wiki.questions, count, epoch, f"{seed}/questions")
    count = round(plan.passages_share * len(questions))
    read = drawn(wiki.passages, count, epoch, f"{seed}/passages")
    return draw(recipe, [*questions, *asked], epoch), read


def _with_passages(
    recipe: Recipe, question: Question, shown: Mapping[str, Question], epoch: int
) -> Question:
    """The question with the paragraph that `shown` gives it, for the recipe's share of them."""
    other, plan = shown.get(question.id), recipe.retrieve
    if other is None or plan is None:
        return question
    drawn_for = random.Random(f"{recipe.data.seed}/{epoch}/{question.id}/passages")
    if drawn_for.random() >= plan.in_training:
        return question
    return replace(question, paragraph=other.paragraph)


def draw(recipe: Recipe, questions: Sequence[Question], epoch: int) -> list[Question]:
    """The questions of one epoch in its own order, with its own order of choices."""
    order = list(questions)
    random.Random(f"{recipe.data.seed}/{epoch}").shuffle(order)
    if not recipe.train.shuffle_choices:
        return order
    seeds = (f"{recipe.data.seed}/{epoch}/{question.id}" for question in order)
    return [shuffle_choices(q, random.Random(s)) for q, s in zip(order, seeds, strict=True)]


def supervised(row: Encoded, answer: int | None, end: int, *, whole: bool = False) -> Row:
    """The row of a question: its id, token ids and labels, which leave out the prompt.

    `whole` supervises the prompt too.
    """
    assert answer is not None, f"{row.id}: training questions were read with answers=True"
    target = [*row.label_ids[answer - 1], end]
    prompt = list(row.prompt_ids)
    masked = prompt if whole else [NOT_SUPERVISED] * len(prompt)
    return _row(row.id, prompt + target, masked + target)


def effective_batch(recipe: Recipe) -> int:
    """Questions a step."""
    return recipe.train.batch_size * recipe.train.gradient_accumulation


def _row(id: str, input_ids: list[int], labels: list[int]) -> Row:
    return {"id": id, "input_ids": input_ids, "labels": labels}
