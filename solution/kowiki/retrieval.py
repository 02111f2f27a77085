"""Retrieval at inference time: add a wiki's best passages to the paragraph of a question."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple

from pydantic import Field, model_validator

from solution.core import Config, LocalPath, Progress, resolve_path
from solution.exam import Prompt, Question
from solution.kowiki.index import Hit, Index, open_index
from solution.kowiki.passages import build_digest

_RENAMED = {"k": "top_k", "longest_paragraph": "max_paragraph_chars", "floor": "min_overlap"}


class RetrievalConfig(Config):
    """Which questions get passages of a wiki, and how many.

    Passages hurt questions that bring their own text: they bury it, or support a distractor.
    So only questions with a short or no paragraph get any, and only passages that overlap with
    the question.
    """

    passages: LocalPath
    """A folder of `kowiki build`."""
    top_k: int = Field(default=1, ge=1, le=3)
    max_paragraph_chars: int = Field(default=200, ge=0)
    """Questions with a longer paragraph get no passage."""
    min_overlap: float = Field(default=0.3, ge=0, le=1)
    """Share of the question's character bigrams that the best passage must contain."""

    @model_validator(mode="before")
    @classmethod
    def _renamed_keys(cls, values: Any) -> Any:
        for old, new in _RENAMED.items():
            if isinstance(values, dict) and old in values:
                raise ValueError(f"`{old}` is now `{new}`")
        if isinstance(values, dict) and "gate" in values:
            raise ValueError("`gate` no longer exists; passages above `min_overlap` are shown")
        return values


class Found(NamedTuple):
    """The passages found for one question, best first, and the overlap of each, in 0..1."""

    hits: tuple[Hit, ...] = ()
    overlaps: tuple[float, ...] = ()


@dataclass(frozen=True)
class RetrievedPassages:
    """Questions with passages in their paragraphs, and what was found for each of them."""

    questions: tuple[Question, ...]
    found: tuple[Found, ...]
    """Empty where the question was left unchanged."""


def retrieve_passages(
    questions: Sequence[Question], config: RetrievalConfig, prompt: Prompt, *, label: str
) -> RetrievedPassages:
    """Append up to `top_k` passages to the paragraph of every question that qualifies.

    Raises UserError where the folder holds no finished build.
    """
    index = open_index(resolve_path(config.passages))
    found = tuple(_search(index, questions, config, label))
    pairs = zip(questions, found, strict=True)
    return RetrievedPassages(tuple(_with_passages(q, f, prompt) for q, f in pairs), found)


def retrieval_inputs(config: RetrievalConfig) -> dict[str, str]:
    """Return the digest of the build, which decides the passages together with `config`.

    Raises UserError where the folder holds no finished build.
    """
    return {"passages": build_digest(resolve_path(config.passages))}


def bigram_overlap(text: str, part: str) -> float:
    """Return the share of the character bigrams of `part` that `text` contains, in 0..1."""
    wanted = _bigrams(part)
    return len(wanted & _bigrams(text)) / len(wanted) if wanted else 0.0


def _search(
    index: Index, questions: Sequence[Question], config: RetrievalConfig, label: str
) -> Iterator[Found]:
    progress = Progress(f"passages for {label}", len(questions), "questions")
    for question in questions:
        found = Found()
        if len(question.paragraph) <= config.max_paragraph_chars:
            # The paragraph is not part of the query: it halves the recall.
            query = " ".join((question.question, *question.choices))
            [hits] = index.search([query], config.top_k)
            overlaps = [bigram_overlap(h.passage.titled, question.question) for h in hits]
            if overlaps and max(overlaps) >= config.min_overlap:
                found = Found(tuple(hits), tuple(overlaps))
        yield found
        progress.advance(1)


def _with_passages(question: Question, found: Found, prompt: Prompt) -> Question:
    if not found.hits:
        return question
    texts = [prompt.context_text(hit.passage.heading, hit.passage.text) for hit in found.hits]
    return replace(question, paragraph="\n".join(filter(None, (question.paragraph, *texts))))


@cache
def _bigrams(text: str) -> frozenset[str]:
    words = "".join(c if c.isalnum() else " " for c in text.lower()).split()
    return frozenset(word[i : i + 2] for word in words for i in range(len(word) - 1))
