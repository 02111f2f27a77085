"""Candidates that generate their answers: texts, parsed answers and the fallback."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from solution.core import UserError, atomic_write, json_line
from solution.explore.job import ExamCell
from solution.models import LoadedModel
from solution.scoring import (
    ChoiceScores,
    Encoded,
    GenerationConfig,
    GenerationRequest,
    ParsedAnswer,
    ScoreCache,
    encode,
    generate,
    majority_vote,
    peak_memory_gib,
    read_answer,
    score,
)

TEXTS = "texts.jsonl"
# Texts that are generated together and cached: what a killed run generates again at most.
CHUNK = 16
MIN_PROMPT_TOKENS = 256
OUTCOMES = {"unparsed": "unparsed", "cut off": "cut_off", "refused": "refused"}
Text = dict[str, Any]
OnScores = Callable[[Sequence[ChoiceScores]], None]


def evaluate_generated(
    loaded: LoadedModel,
    cell: ExamCell,
    *,
    batch_tokens: int,
    cache: ScoreCache,
    work: Path,
    on_scores: OnScores,
) -> tuple[list[ChoiceScores], dict[str, Any]]:
    """Answer every question by generated text, in order; texts are written into `work`.

    A question none of whose texts has an answer is answered by the probability of its choices.
    An interrupted run resumes from `cache`. Returns the scores and the metrics of the work.
    Raises UserError where `max_new_tokens` leaves no room for the prompt.
    """
    config = cell.generation
    assert config is not None, "set by the suite"
    _check_room(config, loaded.max_length)
    start = time.monotonic()
    encoded = encode(
        cell.questions,
        cell.prompt,
        loaded.chat,
        loaded.max_length,
        config.max_new_tokens,
        generate=True,
    )
    # Chunks depend on the questions only, so that a resumed run generates the same batches.
    order = sorted(range(len(encoded)), key=lambda i: (encoded[i].prompt_ids, i))
    size = max(1, CHUNK // config.samples)
    texts: dict[str, list[Text]] = {}
    scores: dict[str, ChoiceScores] = {}
    fallback = 0
    for first in range(0, len(order), size):
        chunk = [encoded[i] for i in order[first : first + size]]
        texts |= _texts(loaded, cell, chunk, batch_tokens, cache)
        found = [_vote(one, texts[one.id]) for one in chunk]
        silent = [one for one, vote in zip(chunk, found, strict=True) if vote is None]
        by_probability = score(loaded, silent, batch_tokens=batch_tokens, cache=cache)
        fallback += len(silent)
        new = [vote for vote in found if vote is not None] + by_probability
        scores |= {one.id: one for one in new}
        on_scores(new)
    written = [text for one in encoded for text in texts[one.id]]
    with atomic_write(work / TEXTS) as partial:
        partial.write_text("".join(map(json_line, written)), encoding="utf-8")
    seconds = time.monotonic() - start
    outcomes = Counter(text["outcome"] for text in written)
    return [scores[one.id] for one in encoded], {
        "questions": len(encoded),
        "seconds": seconds,
        "questions_per_second": len(encoded) / max(seconds, 1e-9),
        "peak_memory_gib": peak_memory_gib(loaded.device),
        "texts": len(written),
        "written_tokens": sum(text["tokens"] for text in written),
        **{key: outcomes[outcome] for outcome, key in OUTCOMES.items()},
        "fallback_rows": fallback,
        "tokens": sum(len(one.prompt_ids) for one in encoded),
        "truncated_rows": sum(one.truncated_tokens > 0 for one in encoded),
    }


def _check_room(config: GenerationConfig, max_length: int) -> None:
    most = max_length - MIN_PROMPT_TOKENS
    if config.max_new_tokens > most:
        raise UserError(
            f"generation.max_new_tokens: {config.max_new_tokens} leaves no room for the prompt "
            f"in this model's {max_length} tokens; expected at most {max(most, 0)}."
        )


def _vote(question: Encoded, texts: Sequence[Text]) -> ChoiceScores | None:
    answers = [ParsedAnswer(text["answer"], text["outcome"]) for text in texts]
    return majority_vote(question.id, len(question.label_ids), answers)


def _texts(
    loaded: LoadedModel,
    cell: ExamCell,
    chunk: Sequence[Encoded],
    batch_tokens: int,
    cache: ScoreCache,
) -> dict[str, list[Text]]:
    """Generate the texts of these questions, or read them from the cache; parse the answers."""
    config = cell.generation
    assert config is not None, "set by the suite"
    requests = [
        GenerationRequest(one.id, one.prompt_ids, s)
        for one in chunk
        for s in range(config.samples)
    ]

    def compute(some: list[GenerationRequest]) -> list[Text]:
        return [asdict(one) for one in generate(loaded, some, config, batch_tokens)]

    def tokens(one: GenerationRequest) -> Any:
        seeded_by = (one.id, one.sample) if config.temperature else ()
        return "generated", one.prompt_ids, config.model_dump(), seeded_by

    found: dict[str, list[Text]] = {one.id: [] for one in chunk}
    choices = {one.id: len(one.label_ids) for one in chunk}
    for one, text in zip(requests, cache.fill(requests, tokens, compute), strict=True):
        parsed = read_answer(
            _opened_thoughts(loaded.tokenizer, one) + text["text"],
            choices[one.id],
            cell.prompt.labels,
            finished=text["finished"],
        )
        found[one.id].append({"id": one.id, "sample": one.sample, **asdict(parsed), **text})
    return found


def _opened_thoughts(tokenizer: Any, request: GenerationRequest) -> str:
    """Return '<think>' where the chat template ends with it, else ''."""
    end = tokenizer.decode(request.prompt_ids[-8:])
    return "<think>" if end.rstrip().endswith("<think>") else ""
