"""Retrieval at answering time: the wiki's best passages behind the paragraph of a question."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pydantic import Field

from solution.core import Config, Progress, resolve_path, sha256_file
from solution.exam import Prompt, Question
from solution.kowiki.gate import NOTHING, Found, holds, read_gate
from solution.kowiki.index import Index, open_index
from solution.kowiki.passages import build_digest


class Retrieve(Config):
    """Which questions get passages of a wiki, and how many.

    Passages hurt questions that bring their own text: they bury it, or speak for a distractor.
    So only short or absent paragraphs get any, and only passages that the question resembles.
    """

    passages: str
    """A folder of `kowiki build`."""
    k: int = Field(default=1, ge=1, le=3)
    longest_paragraph: int = Field(default=200, ge=0)
    """Questions whose paragraph has more characters get nothing."""
    floor: float = Field(default=0.3, ge=0, le=1)
    """The least share of the question's character bigrams that the best passage must hold."""
    gate: str | None = None
    """The gate.json of a fine-tuning, learnt on its validation questions."""


@dataclass(frozen=True)
class Contexts:
    """Questions with their passages put in, and what was found (NOTHING: left as it is)."""

    questions: tuple[Question, ...]
    found: tuple[Found, ...]


def with_contexts(
    questions: Sequence[Question], plan: Retrieve, prompt: Prompt, *, label: str
) -> Contexts:
    """Put up to `k` passages behind the paragraph of every question that the plan admits.

    Raises UserError where the folder holds no finished build, or the file no gate.
    """
    index = open_index(resolve_path(plan.passages))
    gate = read_gate(resolve_path(plan.gate)) if plan.gate else None
    found = [
        one if gate is None or gate.opens(question, one) else NOTHING
        for question, one in zip(questions, _search(index, questions, plan, label), strict=True)
    ]
    asked = [_put_in(q, f, prompt) for q, f in zip(questions, found, strict=True)]
    return Contexts(tuple(asked), tuple(found))


def retrieval_inputs(plan: Retrieve) -> dict[str, str]:
    """What decides the passages besides the plan: the build's (and the gate's) content.

    Raises UserError where the folder holds no finished build, or the file no gate.
    """
    inputs = {"passages": build_digest(resolve_path(plan.passages))}
    if plan.gate:
        read_gate(resolve_path(plan.gate))
        inputs["gate"] = sha256_file(resolve_path(plan.gate))
    return inputs


def _search(
    index: Index, questions: Sequence[Question], plan: Retrieve, label: str
) -> Iterator[Found]:
    progress = Progress(f"passages for {label}", len(questions), "questions")
    for question in questions:
        found = NOTHING
        if len(question.paragraph) <= plan.longest_paragraph:
            # The paragraph stays out of the query: it halves the hits (docs/kowiki.md).
            query = " ".join((question.question, *question.choices))
            [hits] = index.search([query], plan.k)
            likeness = [holds(hit.passage.titled, question.question) for hit in hits]
            if likeness and max(likeness) >= plan.floor:
                found = Found(tuple(hits), tuple(likeness))
        yield found
        progress.advance(1)


def _put_in(question: Question, found: Found, prompt: Prompt) -> Question:
    if not found.hits:
        return question
    told = [prompt.context_text(hit.passage.heading, hit.passage.text) for hit in found.hits]
    return replace(question, paragraph="\n".join(filter(None, (question.paragraph, *told))))
