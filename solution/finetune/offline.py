"""Answering exams with a model in a process of its own.

Unsloth changes transformers' classes in the process that trains, on a GPU the forward pass
included. Scores are therefore taken where Unsloth was never imported, by what `explore` and
`predict` use; and the process gives all its memory back.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from typing import Any, NamedTuple

from solution.core import UserError
from solution.exam import Prompt, Question
from solution.models import ModelReference, load
from solution.scoring import ChoiceScores, evaluate


class Answers(NamedTuple):
    """What a model answered to each of the exams, and how it was loaded."""

    scored: dict[str, list[ChoiceScores]]
    counts: dict[str, dict[str, Any]]
    max_length: int
    dtype: str


def answer_offline(
    reference: ModelReference,
    prompt: Prompt,
    exams: Mapping[str, Sequence[Question]],
    batch_tokens: int,
) -> Answers:
    """Answer `exams` (label to questions) in a new process.

    Raises UserError as `load` does, and where the process was killed (for want of memory).
    """
    with ProcessPoolExecutor(1, get_context("spawn"), _end_with_parent) as pool:
        try:
            return pool.submit(_answer, reference, prompt, dict(exams), batch_tokens).result()
        except BrokenProcessPool as error:
            raise UserError(
                f"scoring with {reference.model} was killed, most likely for want of memory. "
                "Free some, or take a smaller model or --set model.quantization=4bit."
            ) from error


def _answer(
    reference: ModelReference,
    prompt: Prompt,
    exams: dict[str, Sequence[Question]],
    batch_tokens: int,
) -> Answers:
    loaded = load(reference)
    scored, counts = {}, {}
    for label, questions in exams.items():
        scored[label], counts[label] = evaluate(
            loaded, questions, prompt, batch_tokens=batch_tokens, label=label
        )
    return Answers(scored, counts, loaded.max_length, loaded.dtype)


def _end_with_parent() -> None:
    """End on Ctrl-C without a word (the parent speaks), and when the parent is killed."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = parent_process()
    assert parent is not None, "runs in a process of its own"
    parent.join()
    os._exit(1)
