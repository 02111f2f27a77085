"""A scoring model as judge: questions that their passage does not answer are left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from solution.exam import Prompt, Question
from solution.kowiki.draft import Draft
from solution.models import ModelReference, load, weights_fingerprint
from solution.scoring import evaluate

CERTAIN = 0.9
"""A shown passage is not needed where the answer has this probability without it."""
BATCH_TOKENS = 16384


@dataclass(frozen=True)
class Judge:
    """The model that judges, and the prompt that it is asked in."""

    model: ModelReference
    prompt: Prompt

    def inputs(self) -> dict[str, Any]:
        """All that decides its verdicts."""
        return {
            "model": self.model.model_dump(mode="json"),
            "weights": weights_fingerprint(self.model),
            "prompt": self.prompt.model_dump(mode="json"),
            "certain": CERTAIN,
        }


def judged(drafts: Sequence[Draft], judge: Judge, rejected: Counter[str]) -> list[Draft]:
    """The drafts that the judge answers right with their passage, and not surely without it.

    A question that stands without its passage may well be known: only shown ones can be given
    away. The right choice is put first, second, ... in turn, so that no place is favoured.
    """
    loaded = load(judge.model)
    kept: list[Draft] = []
    asked = [_asked(draft, number) for number, draft in enumerate(drafts)]
    bare = [replace(question, paragraph="") for question in asked]
    with_passage, _ = evaluate(
        loaded,
        asked,
        judge.prompt,
        batch_tokens=BATCH_TOKENS,
        label="judge, with passages",
    )
    without, _ = evaluate(
        loaded, bare, judge.prompt, batch_tokens=BATCH_TOKENS, label="judge, without"
    )
    for draft, question, read, guessed in zip(
        drafts, asked, with_passage, without, strict=True
    ):
        place = question.answer or 1
        if read.answer != place:
            rejected["the judge does not find the answer in the passage"] += 1
        elif draft.shown and guessed.probability[place - 1] >= CERTAIN:
            rejected["the judge is certain without the passage"] += 1
        else:
            kept.append(draft)
    return kept


def _asked(draft: Draft, number: int) -> Question:
    answer, *others = draft.choices
    place = number % len(draft.choices)
    choices = (*others[:place], answer, *others[place:])
    text = draft.passage.text
    return Question(str(number), text, draft.question, choices, place + 1, draft.plus)
