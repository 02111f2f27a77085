"""From token ids to probabilities: one tree of all that is asked, close calls decided alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from solution.core import UserError
from solution.scoring.cache import ScoreCache
from solution.scoring.encode import Encoded
from solution.scoring.forest import Forest
from solution.scoring.padded import Padded
from solution.scoring.passes import Pass, TokenCounts, Value
from solution.scoring.reader import honours_trees, reader_of
from solution.scoring.tree import Ids, common

if TYPE_CHECKING:
    from solution.models import LoadedModel

# Choices closer than this (in log-probability) may change places with the batch's shape.
CLOSE = {"torch.float32": 1e-3, "torch.float16": 3e-2, "torch.bfloat16": 2e-1}
# Tokens times width: a CPU's caches, and what malloc keeps without asking the system for fresh
# pages, hold about so much of a layer's values; larger batches take 10 to 25 % longer.
CPU_VALUES = 1 << 20


@dataclass(frozen=True)
class ChoiceScores:
    """One question answered: everything is relative to its own choices and in their order.

    `log_likelihood` is the log of `probability`, which sums to 1; `answer` counts from 1;
    `margin` is the best minus the second-best probability. `by_order` holds, where the choices
    were put in several orders (`choice_orders`), the answer in each, by their own numbers.
    """

    id: str
    log_likelihood: tuple[float, ...]
    probability: tuple[float, ...]
    answer: int
    margin: float
    by_order: tuple[int, ...] = ()


def score(
    loaded: LoadedModel,
    encoded: Sequence[Encoded],
    *,
    batch_tokens: int = 16384,
    on_batch: Callable[[int], None] | None = None,
    work: TokenCounts | None = None,
    cache: ScoreCache | None = None,
) -> list[ChoiceScores]:
    """The probability of every choice, in input order.

    `on_batch` hears how many questions were answered, `work` adds up what they cost; what
    `cache` holds is not computed again (and costs nothing).

    What questions and choices share is computed once (a prefix tree; see `Forest`), at most
    `batch_tokens` at a time (fewer on a CPU, where a wide model's values must fit its caches);
    the budget halves when memory runs out. Answers don't depend on batch size or order:
    questions whose best choices are closer than rounding may move them are scored again alone.
    Raises UserError where memory does not hold a single question.
    """

    def compute(questions: list[Encoded]) -> list[ChoiceScores]:
        return score_model(loaded.model, questions, batch_tokens, on_batch, work)

    if cache is None:
        return compute(list(encoded))
    kept = cache.fill(
        encoded,
        lambda one: (one.prompt_ids, one.answer_ids, one.end_ids),
        lambda some: [one.log_likelihood for one in compute(some)],
    )
    return [normalise(one.id, values) for one, values in zip(encoded, kept, strict=True)]


def score_model(
    model: Any,
    encoded: Sequence[Encoded],
    batch_tokens: int = 16384,
    on_batch: Callable[[int], None] | None = None,
    work: TokenCounts | None = None,
) -> list[ChoiceScores]:
    """As `score`, on any causal model of transformers, PEFT or Unsloth, also amid training.

    The model is switched to evaluation without gradients and back as it was.
    """
    if not encoded:
        return []
    passes = [one for row, question in enumerate(encoded) for one in _plan(row, question)]
    with _evaluating(model):
        runner = _runner(
            model, encoded[0].prompt_ids, batch_tokens, on_batch, work or TokenCounts()
        )
        scores = _by_row(passes, runner.run(passes))
        close = CLOSE.get(runner.reader.dtype, max(CLOSE.values()))
        again = [row for row, values in scores.items() if _gap(values) < close]
        groups = [[one for one in passes if one.row == row] for row in again]
        alone = [one for group in groups for one in group]
        scores |= _by_row(alone, runner.run_alone(groups))
    return [normalise(question.id, scores[row]) for row, question in enumerate(encoded)]


def log_likelihoods(
    model: Any,
    pairs: Sequence[tuple[Ids, Ids]],
    batch_tokens: int = 16384,
    on_batch: Callable[[int], None] | None = None,
    work: TokenCounts | None = None,
) -> list[tuple[float, bool]]:
    """Log P(continuation | context) for pairs of token ids, neither of them empty, in order.

    Also whether every token of the continuation was the likeliest of all. Shared beginnings are
    computed once; `on_batch` hears how many pairs are done. Raises UserError as `score` does.
    """
    if not pairs:
        return []
    passes = [
        Pass(i, context + continuation[:-1], answer=continuation)
        for i, (context, continuation) in enumerate(pairs)
    ]
    with _evaluating(model):
        runner = _runner(model, passes[0].ids, batch_tokens, on_batch, work or TokenCounts())
        values = runner.run(passes)
    return [(value.numbers[0], value.greedy) for value in values]


def _runner(
    model: Any,
    some_ids: Ids,
    batch_tokens: int,
    on_batch: Callable[[int], None] | None,
    work: TokenCounts,
) -> Forest | Padded:
    import torch

    weights = next(model.parameters())
    reader = reader_of(model, torch.tensor([some_ids], device=weights.device))
    kind = Forest if honours_trees(reader, some_ids) else Padded
    if weights.device.type == "cpu":
        width = model.config.get_text_config().hidden_size
        batch_tokens = min(batch_tokens, CPU_VALUES // width)
    return kind(reader, batch_tokens, on_batch, work)


def _plan(row: int, question: Encoded) -> list[Pass]:
    """One pass where the answers differ in one token (behind what all share), else one each."""
    answers = [ids + question.end_ids for ids in question.answer_ids]
    shared = min(common(answers[0], ids) for ids in answers)
    ids = question.prompt_ids + answers[0][:shared]
    tails = [answer[shared:] for answer in answers]
    if all(len(tail) == 1 for tail in tails):
        return [Pass(row, ids, rivals=tuple(tail[0] for tail in tails))]
    return [Pass(row, ids + tail[:-1], answer=tail) for tail in tails]


def _by_row(passes: Sequence[Pass], values: Sequence[Value]) -> dict[int, list[float]]:
    rows: dict[int, list[float]] = {}
    for one, value in zip(passes, values, strict=True):
        rows.setdefault(one.row, []).extend(value.numbers)
    return rows


def _gap(values: list[float]) -> float:
    best, second = sorted(values, reverse=True)[:2]
    return best - second


def normalise(name: str, values: Sequence[float]) -> ChoiceScores:
    """What the choices' log-likelihoods, on any common scale, say of the question `name`.

    Raises UserError where one of them is no finite number.
    """
    if not all(math.isfinite(value) for value in values):
        raise UserError(
            f"id {name}: the model gives no finite number; its weights or dtype are at fault. "
            "Try dtype: float32 or bfloat16."
        )
    top = max(values)
    total = math.log(sum(math.exp(value - top) for value in values)) + top
    log_likelihood = tuple(value - total for value in values)
    probability = tuple(math.exp(value) for value in log_likelihood)
    best, second = sorted(probability, reverse=True)[:2]
    return ChoiceScores(
        name, log_likelihood, probability, 1 + list(values).index(top), best - second
    )


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    import torch

    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module in training:
            module.training = True
