"""The scorer as a model of lm-evaluation-harness: `--model exam-qa`; importing registers it.

Prompts, tokenization, windows of long texts and generation are those of the harness's `hf`;
log-likelihoods are computed over a prefix tree and kept in the score cache.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from lm_eval.api.registry import register_model
from lm_eval.models.huggingface import HFLM

from solution.core import Progress
from solution.scoring.requests import TokenCounts
from solution.scoring.score_cache import ScoreCache
from solution.scoring.scorer import log_likelihoods, truncate_left

# The texts (None for windows of a long text), the context's tokens, the continuation's.
Request = tuple[tuple[str, str] | None, list[int], list[int]]


@register_model("exam-qa")
class ExamQA(HFLM):  # type: ignore[misc]
    """The harness's `hf` model with this project's scorer; takes its arguments and more.

    `cache` keeps scores, so that an interrupted run resumes. `on_progress(done, total)`
    replaces the progress line, which `label` names. `tokenize_separately` tokenizes context and
    continuation each by itself and without special tokens, as the polyglot fork does.
    `counts` adds up tokens; `truncated` collects requests that lost their start.
    """

    def __init__(
        self,
        *arguments: Any,
        batch_tokens: int = 16384,
        cache: ScoreCache | None = None,
        label: str = "log-likelihoods",
        on_progress: Callable[[int, int], None] | None = None,
        tokenize_separately: bool = False,
        **options: Any,
    ) -> None:
        options.setdefault("batch_size", 1)
        # The harness tokenizes a context again for each of its choices.
        self._tokens = lru_cache(maxsize=8)(super().tok_encode)
        super().__init__(*arguments, **options)
        self.batch_tokens, self.label = int(batch_tokens), label
        self.score_cache, self.on_progress = cache, on_progress
        self.tokenize_separately = tokenize_separately
        self.counts, self.truncated = TokenCounts(), set[tuple[str, str]]()
        self.model.eval()

    def tok_encode(self, string: str, *given: Any, **options: Any) -> list[int]:
        """Return the tokens of a text, as the harness has them."""
        return list(self._tokens(string, *given, **options))

    def _encode_pair(self, context: str, continuation: str) -> tuple[list[int], list[int]]:
        if self.tokenize_separately:
            head, tail = (
                self.tok_encode(text, add_special_tokens=False)
                for text in (context, continuation)
            )
            return head, tail
        head, tail = super()._encode_pair(context, continuation)
        return head, tail

    def _loglikelihood_tokens(
        self,
        requests: list[Request],
        disable_tqdm: bool = False,
        override_bs: int | None = None,
    ) -> list[tuple[float, bool]]:
        pairs = [
            truncate_left(tuple(context), tuple(tail), self.max_length)
            for _, context, tail in requests
        ]
        for (texts, context, _), (kept, _) in zip(requests, pairs, strict=True):
            if texts is not None and len(kept) < len(context):
                self.truncated.add(texts)
        found = log_likelihoods(
            self.model,
            pairs,
            self.batch_tokens,
            on_batch=self._progress(len(pairs), disable_tqdm),
            counts=self.counts,
            cache=self.score_cache,
        )
        for (texts, _, _), answer in zip(requests, found, strict=True):
            if texts is not None:
                self.cache_hook.add_partial("loglikelihood", texts, answer)
        return found

    def _progress(self, total: int, silent: bool) -> Callable[[int], None] | None:
        report, done = self.on_progress, 0
        if report is None:
            return None if silent else Progress(self.label, total, "requests").advance

        def advance(count: int) -> None:
            nonlocal done
            done += count
            report(done, total)

        return advance
