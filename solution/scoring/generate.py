"""Texts that a model writes: batched on the left, and the same whatever the batch."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from solution.core import Config, UserError, log
from solution.scoring.oom import free_memory, is_out_of_memory
from solution.scoring.prefix_tree import Ids

if TYPE_CHECKING:
    from torch import Tensor

    from solution.models import LoadedModel


class GenerationConfig(Config):
    """How answers are written: at most so many tokens, `samples` of them a question.

    One sample follows the likeliest token; several are drawn at `temperature` from `seed`.
    """

    max_new_tokens: int = Field(default=1024, ge=1)
    samples: int = Field(default=1, ge=1, le=64)
    temperature: float = Field(default=0.0, ge=0, le=5)
    seed: int = 0

    @model_validator(mode="after")
    def _samples_differ(self) -> GenerationConfig:
        if self.samples > 1 and self.temperature == 0:
            raise ValueError(
                "several samples without a temperature are all the same: "
                "set temperature (0.7, say), or samples: 1"
            )
        return self


@dataclass(frozen=True)
class GenerationRequest:
    """One text to be written: what leads to it, and where its chance comes from."""

    id: str
    prompt_ids: Ids
    sample: int = 0


@dataclass(frozen=True)
class Completion:
    """One text of `tokens` tokens; `finished` where the model ended it, not the budget."""

    text: str
    finished: bool
    tokens: int


def generate(
    loaded: LoadedModel,
    asked: Sequence[GenerationRequest],
    how: GenerationConfig,
    batch_tokens: int = 16384,
) -> list[Completion]:
    """What the model writes behind each prompt, in order; special tokens are left out.

    Rows are padded on the left, the longest first, `batch_tokens` (budget included) at a time;
    the budget halves when memory runs out. A row's chance hangs on seed, id and sample alone
    (Gumbel's trick: the largest logit after noise is a draw from the softmax), so that a text
    does not depend on its neighbours but for rounding.
    Raises UserError where memory does not hold a single row.
    """
    queue = sorted(range(len(asked)), key=lambda i: (-len(asked[i].prompt_ids), i))
    written: dict[int, Completion] = {}
    while queue:
        rows = len(asked[queue[0]].prompt_ids) + how.max_new_tokens
        batch = queue[: max(1, batch_tokens // rows)]
        found = _try(loaded, [asked[i] for i in batch], how)
        if found is None:
            batch_tokens = rows * (len(batch) // 2)
            log(f"Out of memory with {len(batch)} texts at a time; going on with half.")
            continue
        written |= zip(batch, found, strict=True)
        queue = queue[len(batch) :]
    return [written[i] for i in range(len(asked))]


def _try(
    loaded: LoadedModel, batch: Sequence[GenerationRequest], how: GenerationConfig
) -> list[Completion] | None:
    try:
        return _write(loaded, batch, how)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    free_memory()
    if len(batch) == 1:
        raise UserError(
            f"Not enough memory to write {how.max_new_tokens} tokens behind "
            f"{len(batch[0].prompt_ids)}. Take a smaller model, quantization: 4bit, or a "
            "smaller max_new_tokens."
        )
    return None


def _write(
    loaded: LoadedModel, batch: Sequence[GenerationRequest], how: GenerationConfig
) -> list[Completion]:
    import torch

    tokenizer, device = loaded.tokenizer, next(loaded.model.parameters()).device
    longest = max(len(one.prompt_ids) for one in batch)
    ends = _ends(loaded)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else min(ends, default=0)
    gaps = [longest - len(one.prompt_ids) for one in batch]
    ids = [[pad] * gap + list(one.prompt_ids) for gap, one in zip(gaps, batch, strict=True)]
    seen = [[0] * gap + [1] * (longest - gap) for gap in gaps]
    options: dict[str, Any] = {}
    if how.temperature > 0:
        options["logits_processor"] = [_noise(batch, how)]
    with torch.no_grad():
        out = loaded.model.generate(
            input_ids=torch.tensor(ids, device=device),
            attention_mask=torch.tensor(seen, device=device),
            max_new_tokens=how.max_new_tokens,
            do_sample=False,
            num_beams=1,
            pad_token_id=pad,
            **options,
        )
    return [_written(row, ends, tokenizer) for row in out[:, longest:].tolist()]


def _written(row: list[int], ends: set[int], tokenizer: Any) -> Completion:
    stop = next((i for i, token in enumerate(row) if token in ends), None)
    own = row[:stop]
    text = tokenizer.decode(own, skip_special_tokens=True)
    return Completion(text, stop is not None, len(own))


def _ends(loaded: LoadedModel) -> set[int]:
    """The tokens that end a text: the model's own, else the tokenizer's."""
    own = loaded.model.generation_config.eos_token_id
    if own is None:
        own = loaded.tokenizer.eos_token_id
    return set(own) if isinstance(own, list) else {own} - {None}


def _noise(batch: Sequence[GenerationRequest], how: GenerationConfig) -> Any:
    """A logits processor that divides by the temperature and adds each row's own noise."""
    import torch

    chances = [torch.Generator().manual_seed(_seed(one, how.seed)) for one in batch]

    def noisy(_ids: Tensor, scores: Tensor) -> Tensor:
        drawn = [torch.rand(scores.shape[-1], generator=chance) for chance in chances]
        uniform = torch.stack(drawn).clamp_(1e-20).to(scores.device)
        return scores.float() / how.temperature - (-uniform.log()).log()

    return noisy


def _seed(one: GenerationRequest, seed: int) -> int:
    digest = hashlib.sha256(f"{seed}:{one.sample}:{one.id}".encode()).digest()
    return int.from_bytes(digest[:7], "big")
