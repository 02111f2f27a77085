"""Text generation in batches padded on the left, and the vote over several texts."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from solution.core import Config, UserError, log
from solution.scoring.oom import free_memory, is_out_of_memory
from solution.scoring.parse_answer import ParsedAnswer
from solution.scoring.prefix_tree import Ids
from solution.scoring.scorer import ChoiceScores, normalise

if TYPE_CHECKING:
    from solution.models import LoadedModel


class GenerationConfig(Config):
    """Length and number of texts per question.

    One sample is greedy; several are sampled at `temperature`, seeded by `seed`.
    """

    max_new_tokens: int = Field(default=1024, ge=1)
    samples: int = Field(default=1, ge=1, le=64)
    temperature: float = Field(default=0.0, ge=0, le=5)
    seed: int = 0

    @model_validator(mode="after")
    def _samples_differ(self) -> GenerationConfig:
        if self.samples > 1 and self.temperature == 0:
            raise ValueError(
                "several samples at temperature 0 are identical: "
                "set temperature (0.7, say), or samples: 1"
            )
        return self


@dataclass(frozen=True)
class GenerationRequest:
    """One text to generate: the `sample`-th for question `id`."""

    id: str
    prompt_ids: Ids
    sample: int = 0


@dataclass(frozen=True)
class Completion:
    """One text of `tokens` tokens; `finished` if it ended before `max_new_tokens`."""

    text: str
    finished: bool
    tokens: int


def generate(
    loaded: LoadedModel,
    requests: Sequence[GenerationRequest],
    config: GenerationConfig,
    batch_tokens: int = 16384,
) -> list[Completion]:
    """Generate a text per request, in order, without special tokens.

    The longest prompts come first, at most `batch_tokens` (new ones included) at a time; the
    batch is halved when memory runs out. Sampled texts depend on the seed and their batch.
    Raises UserError where not even one row fits into memory.
    """
    queue = sorted(range(len(requests)), key=lambda i: (-len(requests[i].prompt_ids), i))
    done: dict[int, Completion] = {}
    while queue:
        tokens = len(requests[queue[0]].prompt_ids) + config.max_new_tokens
        rows = queue[: max(1, batch_tokens // tokens)]
        texts = _try(loaded, [requests[i] for i in rows], config)
        if texts is None:
            batch_tokens = tokens * (len(rows) // 2)
            log(f"Out of memory with {len(rows)} texts per batch; continuing with half.")
            continue
        done |= zip(rows, texts, strict=True)
        queue = queue[len(rows) :]
    return [done[i] for i in range(len(requests))]


def majority_vote(id: str, choices: int, parsed: Sequence[ParsedAnswer]) -> ChoiceScores | None:
    """Return the most frequent answer, the first of equals; None if no text has any.

    A choice's probability is its share of the votes, with one more vote spread over all choices
    so that none is 0. Self-consistency: Wang et al., arXiv 2203.11171.
    """
    answers = [one.answer for one in parsed if one.answer is not None]
    if not answers:
        return None
    votes = Counter(answers)
    values = [math.log(votes[choice] + 1 / choices) for choice in range(1, choices + 1)]
    best = max(votes, key=lambda answer: (votes[answer], -answers.index(answer)))
    return replace(normalise(id, values), answer=best)


def _try(
    loaded: LoadedModel, batch: Sequence[GenerationRequest], config: GenerationConfig
) -> list[Completion] | None:
    try:
        return _generate(loaded, batch, config)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    free_memory()
    if len(batch) == 1:
        raise UserError(
            f"Not enough memory to generate {config.max_new_tokens} tokens after a prompt of "
            f"{len(batch[0].prompt_ids)}. Use a smaller model, quantization: 4bit, or a "
            "smaller max_new_tokens."
        )
    return None


def _generate(
    loaded: LoadedModel, batch: Sequence[GenerationRequest], config: GenerationConfig
) -> list[Completion]:
    import torch

    tokenizer, device = loaded.tokenizer, next(loaded.model.parameters()).device
    longest = max(len(one.prompt_ids) for one in batch)
    ends = _end_tokens(loaded)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else min(ends, default=0)
    gaps = [longest - len(one.prompt_ids) for one in batch]
    ids = [[pad] * gap + list(one.prompt_ids) for gap, one in zip(gaps, batch, strict=True)]
    mask = [[0] * gap + [1] * (longest - gap) for gap in gaps]
    options: dict[str, Any] = {"do_sample": False}
    if config.temperature > 0:
        options = {"do_sample": True, "temperature": config.temperature}
        options |= {
            "top_k": 0,
            "top_p": 1.0,
        }  # the whole distribution, whatever the model's own
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(_seed(batch, config.seed))
        out = loaded.model.generate(
            input_ids=torch.tensor(ids, device=device),
            attention_mask=torch.tensor(mask, device=device),
            max_new_tokens=config.max_new_tokens,
            num_beams=1,
            pad_token_id=pad,
            **options,
        )
    return [_completion(row, ends, tokenizer) for row in out[:, longest:].tolist()]


def _completion(row: list[int], ends: set[int], tokenizer: Any) -> Completion:
    stop = next((i for i, token in enumerate(row) if token in ends), None)
    text = tokenizer.decode(row[:stop], skip_special_tokens=True)
    return Completion(text, stop is not None, len(row[:stop]))


def _end_tokens(loaded: LoadedModel) -> set[int]:
    """Return the tokens that end a text: the model's, else the tokenizer's."""
    own = loaded.model.generation_config.eos_token_id
    if own is None:
        own = loaded.tokenizer.eos_token_id
    return set(own) if isinstance(own, list) else {own} - {None}


def _seed(batch: Sequence[GenerationRequest], seed: int) -> int:
    """Return the seed of a batch: the same rows give the same texts in another run."""
    rows = [(one.id, one.sample) for one in batch]
    return int.from_bytes(hashlib.sha256(f"{seed}:{rows}".encode()).digest()[:7], "big")
