"""What a wiki adds to the contest's questions: questions on it, and its text."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from solution.core import UserError, log, resolve_path
from solution.exam import Exam, Question, overlaps, read_exam
from solution.finetune.recipe import Kowiki
from solution.kowiki import leaking, read_passages

T = TypeVar("T")


@dataclass(frozen=True)
class Wiki:
    """Questions and passages to draw from; nothing in them stands in the test file."""

    questions: tuple[Question, ...] = ()
    passages: tuple[str, ...] = ()
    left_out: int = 0
    """Questions and passages that were left out for the test file's sake."""


NONE = Wiki()


def read_wiki(plan: Kowiki | None, test: Exam) -> Wiki:
    """What the recipe asks for. Raises UserError for an absent or faulty file or folder."""
    if plan is None:
        return NONE
    questions, passages, left_out = _questions(plan, test), _passages(plan), 0
    if plan.questions:
        whole = len(read_exam(resolve_path(plan.questions), answers=True))
        left_out += whole - len(questions)
    held = leaking(passages, test.questions) if passages else []
    clean = [text for text, other in zip(passages, held, strict=True) if other is None]
    left_out += len(passages) - len(clean)
    for key, asked_for, left in (
        ("questions", plan.questions, questions),
        ("passages", plan.passages, clean),
    ):
        if asked_for and not left:
            raise UserError(
                f"data.kowiki.{key}: {asked_for}: nothing to draw from ({left_out} left out "
                "for the test file's sake). Give another, or leave the key out."
            )
    if left_out:
        log(f"kowiki: {left_out} questions and passages left out, also in the test file")
    return Wiki(tuple(questions), tuple(clean), left_out)


def _questions(plan: Kowiki, test: Exam) -> list[Question]:
    if not plan.questions:
        return []
    path = resolve_path(plan.questions)
    if not path.is_file():
        raise UserError(
            f"data.kowiki.questions: {plan.questions}: no such file. "
            "Make it by ./run.sh kowiki questions."
        )
    exam = read_exam(path, answers=True)
    known = {pair.train for pair in overlaps(exam, test)}
    return [question for question in exam.questions if question.id not in known]


def _passages(plan: Kowiki) -> list[str]:
    if not plan.passages:
        return []
    return [passage.text for passage in read_passages(resolve_path(plan.passages))]


def drawn(pool: Sequence[T], count: int, epoch: int, seed: str) -> list[T]:
    """The next `count` of an endless, seeded walk through `pool`, in whole rounds."""
    if not pool:
        return []
    picked: list[T] = []
    place = epoch * count
    while len(picked) < count:
        turn, start = divmod(place + len(picked), len(pool))
        order = list(pool)
        random.Random(f"{seed}/{turn}").shuffle(order)
        picked += order[start : start + count - len(picked)]
    return picked


def text_row(
    text: str, tokenizer: Any, end: int, max_length: int
) -> tuple[list[int], list[int]]:
    """A passage as token ids, all supervised but the first, cut at `max_length`.

    A blank in front: its first word is then the word that stands within sentences.
    """
    ids = [*tokenizer(f" {text}", add_special_tokens=False).input_ids, end][:max_length]
    return ids, list(ids)
