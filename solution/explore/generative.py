"""One candidate that answers in words: texts, what is read in them, and the way out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from solution.core import UserError, atomic_write
from solution.explore.job import Job
from solution.explore.parts import Log, Part, in_parts, measurements, scored_of
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
    read_answer,
    score,
)

# Texts a part: what a killed run writes again at most.
TEXTS = 32
# The least that a prompt is left beside the budget.
LEAST_PROMPT = 256
OUTCOMES = {"unparsed": "unparsed", "cut off": "cut_off", "refused": "refused"}


def generate_in_parts(
    loaded: LoadedModel, cache: ScoreCache, job: Job, folder: Path, *, texts: Path, log: Log
) -> tuple[list[ChoiceScores], dict[str, Any]]:
    """Every question's answer, in the exam's order, and what it took; texts go to `texts`.

    A question none of whose texts has an answer is answered by the probability of its choices.
    Raises UserError where the budget leaves no room for the prompt.
    """
    how = job.generation
    assert how is not None, "asked for by the suite"
    _check_room(how, loaded.max_length)
    encoded = encode(
        job.questions, job.prompt, loaded.tokenizer, loaded.max_length, how.max_new_tokens
    )

    def compute(rows: Sequence[int]) -> Part:
        return _answer(loaded, cache, job, [encoded[row] for row in rows])

    order = sorted(range(len(encoded)), key=lambda i: (encoded[i].prompt_ids, i))
    size = max(1, TEXTS // how.samples)
    parts = in_parts(job, order, size, folder, compute, write_log=log, device=loaded.device)
    written = [text for part in parts for text in part["texts"]]
    place = {one.id: i for i, one in enumerate(encoded)}
    written.sort(key=lambda text: (place[text["id"]], text["sample"]))
    with atomic_write(texts) as partial:
        lines = (json.dumps(text, ensure_ascii=False) + "\n" for text in written)
        partial.write_text("".join(lines), encoding="utf-8")
    by_id = {row["id"]: scored_of(row) for part in parts for row in part["scored"]}
    outcomes = Counter(text["outcome"] for text in written)
    measured = {
        **measurements(parts, len(encoded)),
        "texts": len(written),
        "written_tokens": sum(text["tokens"] for text in written),
        **{key: outcomes[outcome] for outcome, key in OUTCOMES.items()},
        "fallback_rows": sum(part["fallback"] for part in parts),
        "tokens": sum(len(one.prompt_ids) for one in encoded),
        "truncated_rows": sum(one.truncated_tokens > 0 for one in encoded),
    }
    return [by_id[one.id] for one in encoded], measured


def _check_room(how: GenerationConfig, max_length: int) -> None:
    most = max_length - LEAST_PROMPT
    if how.max_new_tokens > most:
        raise UserError(
            f"generation.max_new_tokens: {how.max_new_tokens} leaves no room for the prompt in "
            f"this model's {max_length} tokens; expected at most {max(most, 0)}."
        )


def _answer(
    loaded: LoadedModel, cache: ScoreCache, job: Job, encoded: Sequence[Encoded]
) -> Part:
    """Texts of these questions, their readings, and the answers they come to."""
    texts = _texts(loaded, cache, job, encoded)
    readings = {
        one.id: [ParsedAnswer(t["answer"], t["outcome"]) for t in texts if t["id"] == one.id]
        for one in encoded
    }
    found = {
        one.id: majority_vote(one.id, len(one.label_ids), readings[one.id]) for one in encoded
    }
    mute = [one for one in encoded if found[one.id] is None]
    asked = score(loaded, mute, batch_tokens=job.batch_tokens, cache=cache)
    answers = {id: one for id, one in found.items() if one} | {one.id: one for one in asked}
    return {
        "texts": texts,
        "scored": [asdict(answers[one.id]) for one in encoded],
        "fallback": len(mute),
    }


def _texts(
    loaded: LoadedModel, cache: ScoreCache, job: Job, encoded: Sequence[Encoded]
) -> list[dict[str, Any]]:
    how = job.generation
    assert how is not None, "asked for by the suite"
    asked = [
        GenerationRequest(one.id, one.prompt_ids, s)
        for one in encoded
        for s in range(how.samples)
    ]

    def compute(some: list[GenerationRequest]) -> list[dict[str, Any]]:
        return [asdict(one) for one in generate(loaded, some, how, job.batch_tokens)]

    def decides(one: GenerationRequest) -> Any:
        chance = (one.id, one.sample) if how.temperature else ()
        return "written", one.prompt_ids, how.model_dump(), chance

    written = cache.fill(asked, decides, compute)
    choices = {one.id: len(one.label_ids) for one in encoded}
    rows = []
    for one, text in zip(asked, written, strict=True):
        reading = read_answer(
            _opening(loaded.tokenizer, one) + text["text"],
            choices[one.id],
            job.prompt.labels,
            finished=text["finished"],
        )
        rows.append({"id": one.id, "sample": one.sample, **asdict(reading), **text})
    return rows


def _opening(tokenizer: Any, one: GenerationRequest) -> str:
    """'<think>' where the chat template has opened the thoughts itself, else ''."""
    end = tokenizer.decode(one.prompt_ids[-8:])
    return "<think>" if end.rstrip().endswith("<think>") else ""
