"""The engine as a model of lm-evaluation-harness: `--model exam-qa`.

Importing this module registers it. Tokenisation, prompts, windows of long texts and generation
are the harness's own (its `hf` model); only log-likelihoods are computed over a prefix tree.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from lm_eval.api.registry import register_model
from lm_eval.models.huggingface import HFLM

from solution.core import Progress
from solution.scoring.prefix_tree import Ids
from solution.scoring.requests import TokenCounts
from solution.scoring.scorer import log_likelihoods, truncate_left

# What the harness hands over: the texts (None for windows of a long text) and their tokens.
Request = tuple[tuple[str, str] | None, list[int], list[int]]


@register_model("exam-qa")
class ExamQA(HFLM):  # type: ignore[misc]
    """The harness's `hf` model with our engine; takes its arguments, and `batch_tokens`.

    `work` adds up what log-likelihoods cost.
    """

    def __init__(self, *arguments: Any, batch_tokens: int = 16384, **options: Any) -> None:
        options.setdefault("batch_size", 1)
        # The harness asks for the tokens of a context once more for each of its choices.
        self._tokens = lru_cache(maxsize=2)(super().tok_encode)
        super().__init__(*arguments, **options)
        self.batch_tokens, self.work = int(batch_tokens), TokenCounts()
        self.model.eval()

    def tok_encode(self, string: str, *given: Any, **options: Any) -> list[int]:
        """The tokens of a text, as the harness has them."""
        return list(self._tokens(string, *given, **options))

    def _loglikelihood_tokens(
        self,
        requests: list[Request],
        disable_tqdm: bool = False,
        override_bs: int | None = None,
    ) -> list[tuple[float, bool]]:
        pairs = [_pair(context, tail, self.max_length) for _, context, tail in requests]
        progress = Progress("log-likelihoods", len(pairs), "requests")
        heard = None if disable_tqdm else progress.advance
        found = log_likelihoods(
            self.model, pairs, self.batch_tokens, on_batch=heard, counts=self.work
        )
        for (texts, _, _), answer in zip(requests, found, strict=True):
            if texts is not None:
                self.cache_hook.add_partial("loglikelihood", texts, answer)
        return found


def _pair(context: list[int], continuation: list[int], max_length: int) -> tuple[Ids, Ids]:
    """Cut as the harness's own model does."""
    return truncate_left(tuple(context), tuple(continuation), max_length)
