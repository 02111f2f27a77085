"""From questions to probabilities in one call, with the figures of the work done."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from solution.core import Progress
from solution.exam import Prompt, Question
from solution.scoring.cache import ScoreCache
from solution.scoring.engine import ChoiceScores, score
from solution.scoring.orders import Debias, plan_orders
from solution.scoring.passes import TokenCounts

if TYPE_CHECKING:
    from solution.models import LoadedModel

GIB = 2**30


def evaluate(
    loaded: LoadedModel,
    questions: Sequence[Question],
    prompt: Prompt,
    *,
    batch_tokens: int = 16384,
    label: str = "scoring",
    permutations: int = 1,
    debias: Debias = "none",
    cache: ScoreCache | None = None,
) -> tuple[list[ChoiceScores], dict[str, Any]]:
    """Answer every question, in order, with progress on stderr.

    Choices are put in `permutations` orders and averaged, or rid of a prior (`plan_orders`).
    Also gives a mapping: `questions`, `orders` (asked in all), `truncated` (rows that lost
    passage text), `truncated_tokens`, `tokens` (of all prompts), what `cost` says, `seconds`,
    `questions_per_second`, `peak_memory_gib` (of this process; of the card on a GPU).
    Raises UserError as `encode` and `score` do.
    """
    start = time.monotonic()
    plan = plan_orders(questions, permutations, debias)
    grouped = plan.encode(prompt, loaded.tokenizer, loaded.max_length)
    encoded = [one for some in grouped for one in some]
    progress = Progress(label, len(encoded), "questions" if permutations == 1 else "orders")
    work = TokenCounts()
    flat = score(
        loaded,
        encoded,
        batch_tokens=batch_tokens,
        on_batch=progress.advance,
        work=work,
        cache=cache,
    )
    scored = plan.combined(plan.grouped(flat))
    seconds = time.monotonic() - start
    return scored, {
        "questions": len(questions),
        "orders": len(encoded),
        "truncated_rows": sum(some[0].truncated_tokens > 0 for some in grouped),
        "truncated_tokens": sum(some[0].truncated_tokens for some in grouped),
        "tokens": sum(len(one.prompt_ids) for one in encoded),
        **cost(work),
        "seconds": round(seconds, 3),
        "questions_per_second": round(len(questions) / max(seconds, 1e-9), 3),
        "peak_memory_gib": round(peak_memory_gib(loaded.device), 3),
        **({"position_prior": plan.priors(plan.grouped(flat))} if debias == "pride" else {}),
    }


def cost(work: TokenCounts) -> dict[str, float]:
    """What scoring cost, in shares.

    `of_plain`: tokens computed, of those that one whole sequence per label or group of labels
    would take; `of_tree`: tokens computed, of those of the prefix tree (1 is the least
    possible); `padding` and `settled` (near ties scored again): shares of the tokens computed.
    """
    computed = max(work.computed, 1)
    return {
        "of_plain": round(work.computed / max(work.plain, 1), 4),
        "of_tree": round(work.computed / max(work.tree, 1), 4),
        "padding": round(work.padding / computed, 4),
        "settled": round(work.settled / computed, 4),
    }


def peak_memory_gib(device: str) -> float:
    """Return this process's peak memory in GiB.

    On CUDA: what PyTorch reserved, summed over the devices. Otherwise: the resident set size.
    """
    import resource

    if device.startswith("cuda"):
        import torch

        devices = range(torch.cuda.device_count())
        return sum(torch.cuda.max_memory_reserved(i) for i in devices) / GIB
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / GIB
