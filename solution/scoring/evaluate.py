"""From questions to probabilities: the one call behind predict, explore, finetune and ask."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from solution.core import Progress, UserError, log
from solution.exam import Prompt, Question
from solution.scoring.encode import Encoded
from solution.scoring.position_bias import Debias, plan_orders
from solution.scoring.requests import TokenCounts
from solution.scoring.score_cache import ScoreCache
from solution.scoring.scorer import ChoiceScores, score

if TYPE_CHECKING:
    from solution.models import LoadedModel

GIB = 2**30
# Below this the labels are not what the model would write.
EXPECTED_MASS = 0.5


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
    on_batch: Callable[[int], None] | None = None,
    on_scores: Callable[[Sequence[ChoiceScores]], None] | None = None,
) -> tuple[list[ChoiceScores], dict[str, Any]]:
    """Score every question, in order; return the scores and the metrics of the work.

    Choices are scored in `permutations` orders and averaged, or corrected for position bias
    (`debias`, see `plan_orders`). `on_batch` receives numbers of finished orders, instead of a
    progress line on stderr. A killed run resumes from its `cache` with the same bytes.

    Metrics: `questions`; `orders` (scored in all); `truncated_rows` and `truncated_tokens`
    (questions that lost text); `tokens` (of all prompts); see `token_metrics` and
    `peak_memory_gib`; `seconds`, `questions_per_second`; with PriDe `position_prior`.

    Raises UserError as `encode` and `score` do.
    """
    start = time.monotonic()
    plan = plan_orders(questions, permutations, debias)
    encoded = plan.encode(prompt, loaded.chat, loaded.max_length)
    flat = [one for orders in encoded for one in orders]
    _check_ids(loaded, flat)
    if on_batch is None and on_scores is None:
        unit = "questions" if len(flat) == len(questions) else "orders"
        on_batch = Progress(label, len(flat), unit).advance
    counts = TokenCounts()
    first = set(itertools.accumulate((len(orders) for orders in encoded), initial=0))
    scores = score(
        loaded,
        flat,
        batch_tokens=batch_tokens,
        on_batch=on_batch,
        on_scores=on_scores
        and (lambda new: on_scores([one for row, one in new.items() if row in first])),
        counts=counts,
        cache=cache,
    )
    by_question = plan.group(scores)
    combined = plan.combine(by_question)
    seconds = time.monotonic() - start
    metrics: dict[str, Any] = {
        **_sizes(encoded),
        **token_metrics(counts),
        "seconds": round(seconds, 3),
        "questions_per_second": round(len(questions) / max(seconds, 1e-9), 3),
        "peak_memory_gib": round(peak_memory_gib(loaded.device), 3),
    }
    metrics |= _label_mass(combined, loaded.reference.model)
    if metrics["truncated_rows"]:
        log(
            f"{label}: {metrics['truncated_rows']} of {len(questions)} questions were too long "
            f"and lost {metrics['truncated_tokens']} tokens of text"
        )
    if debias == "pride":
        metrics["position_prior"] = plan.position_priors(by_question)
    return combined, metrics


def _check_ids(loaded: LoadedModel, encoded: Sequence[Encoded]) -> None:
    """Refuse tokens that were added to a tokenizer, but not to the model."""
    rows = loaded.model.get_input_embeddings().weight.shape[0]
    for one in encoded:
        if (highest := max(one.prompt_ids, default=0)) >= rows:
            token = loaded.tokenizer.convert_ids_to_tokens(highest)
            raise UserError(
                f"question {one.id}: the tokenizer writes {token}, for which "
                f"{loaded.reference.adapter or loaded.reference.model} has no embedding. Use "
                "the tokenizer of the model, or an adapter saved with its embeddings."
            )


def _label_mass(scores: Sequence[ChoiceScores], model: str) -> dict[str, float]:
    masses = sorted(one.label_mass for one in scores if one.label_mass is not None)
    if not masses:
        return {}
    mean = sum(masses) / len(masses)
    if mean < EXPECTED_MASS:
        log(
            f"{model}: gives all labels together a probability of {mean:.3f} on average: it "
            "does not expect an answer here. Check the prompt with the model's chat template."
        )
    return {"label_mass": round(mean, 6), "label_mass_p5": round(masses[len(masses) // 20], 6)}


def _sizes(encoded: Sequence[Sequence[Encoded]]) -> dict[str, int]:
    return {
        "questions": len(encoded),
        "orders": sum(len(orders) for orders in encoded),
        "truncated_rows": sum(orders[0].truncated_tokens > 0 for orders in encoded),
        "truncated_tokens": sum(orders[0].truncated_tokens for orders in encoded),
        "tokens": sum(len(one.prompt_ids) for orders in encoded for one in orders),
    }


def token_metrics(counts: TokenCounts) -> dict[str, float]:
    """Return `tokens_computed` and `tokens_shared_ratio`, the fraction that sharing saved.

    What a cache held counts in neither. `recomputed_in_float32` counts rows that overflowed.
    """
    if counts.recomputed_rows:
        log(
            f"{counts.recomputed_rows} rows overflowed in 16 bit and were recomputed in float32"
        )
    ratio = 1 - counts.tokens_computed / max(counts.tokens_unshared, 1)
    return {
        "tokens_computed": counts.tokens_computed,
        "tokens_shared_ratio": round(ratio, 4) if counts.tokens_unshared else 0.0,
        "recomputed_in_float32": counts.recomputed_rows,
    }


def peak_memory_gib(device: str) -> float:
    """Return this process's peak memory in GiB.

    On CUDA: what PyTorch reserved, summed over the devices. Otherwise: the resident set size.
    """
    if device.startswith("cuda"):
        import torch

        devices = range(torch.cuda.device_count())
        return sum(torch.cuda.max_memory_reserved(i) for i in devices) / GIB
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / GIB
