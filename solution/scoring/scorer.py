"""Log-likelihoods of choices and of continuations, computed over a shared prefix tree."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from solution.core import UserError
from solution.scoring.encode import Encoded
from solution.scoring.lm_head import causal_of, evaluation_mode, make_reader
from solution.scoring.logprobs import OnRows
from solution.scoring.prefix_tree import Ids, common_prefix_length
from solution.scoring.prefix_tree_runner import UNLIMITED, PrefixTreeRunner, run_unshared
from solution.scoring.requests import Request, Result, TokenCounts
from solution.scoring.rope import original_length
from solution.scoring.score_cache import ScoreCache
from solution.scoring.tree_support import supports_tree_attention
from solution.scoring.upcast import float32_by_layer

if TYPE_CHECKING:
    from solution.models import LoadedModel

# Tokens times width: a CPU's caches, and what malloc keeps without asking the system for fresh
# pages, hold about so much of a layer's values; larger batches take 10 to 25 % longer.
CPU_VALUES = 1 << 20
# With a cache a batch holds at most so many questions, and about 10 seconds of work (in
# floating-point operations): what a killed run loses at most. Pairs: four to a question.
SAVED_QUESTIONS = 16
SAVED_FLOP = {"cpu": 1.2e12, "cuda": 2e14}
Pair = tuple[Ids, Ids]


@dataclass(frozen=True)
class ChoiceScores:
    """The scores of one question, relative to its own choices and in their order.

    `log_likelihood` is the log of `probability`, which sums to 1; `answer` counts from 1;
    `margin` is the best minus the second-best probability. `by_order`: where the choices were
    permuted (`choice_orders`), the answer in each order, by the choices' own numbers.
    `label_mass`: the probability that the model gives to all labels together, over the whole
    vocabulary (a mean over orders); None where it is not known.
    """

    id: str
    log_likelihood: tuple[float, ...]
    probability: tuple[float, ...]
    answer: int
    margin: float
    by_order: tuple[int, ...] = ()
    label_mass: float | None = None


@dataclass(frozen=True)
class _Job:
    """What all kinds of scoring have in common."""

    model: Any
    batch_tokens: int
    on_batch: Callable[[int], None] | None
    counts: TokenCounts | None
    cache: ScoreCache | None
    max_rows: int


def score(
    loaded: LoadedModel,
    encoded: Sequence[Encoded],
    *,
    batch_tokens: int = 16384,
    on_batch: Callable[[int], None] | None = None,
    on_scores: Callable[[Mapping[int, ChoiceScores]], None] | None = None,
    counts: TokenCounts | None = None,
    cache: ScoreCache | None = None,
) -> list[ChoiceScores]:
    """Return the scores of every question, in order, as `score_model`.

    `on_scores` receives scores by position as soon as they are known.

    What `cache` holds is not computed; the rest is stored while the work goes on, a batch at a
    time (at most 16 questions, about 10 seconds of work). Batches depend on all of `encoded`
    and not on what is stored, so that a resumed run gives the same bytes as an uninterrupted
    one (unless memory ran out on the way).
    """
    job = _Job(loaded.model, batch_tokens, on_batch, counts, cache, SAVED_QUESTIONS)
    return _score(job, encoded, on_scores)


def score_model(
    model: Any,
    encoded: Sequence[Encoded],
    batch_tokens: int = 16384,
    *,
    on_batch: Callable[[int], None] | None = None,
    counts: TokenCounts | None = None,
) -> list[ChoiceScores]:
    """Return the scores of every question, in order.

    Takes any causal model of transformers, PEFT or Unsloth, also during training: it is
    switched to evaluation without gradients and back. What questions and choices share is
    computed once, at most `batch_tokens` at a time (fewer on a CPU, where a wide model's values
    must fit its caches); the size is halved when memory runs out. `on_batch` receives numbers
    of finished questions, `counts` adds up tokens. In float32 results don't depend on batches
    (but for rounding, 1e-6); in 16 bit a near tie may depend on them.

    A row whose score is not finite is computed again in float32.
    Raises UserError where that is not finite either, or a question does not fit into memory.
    """
    return _score(_Job(model, batch_tokens, on_batch, counts, None, UNLIMITED), encoded)


def log_likelihoods(
    model: Any,
    pairs: Sequence[Pair],
    batch_tokens: int = 16384,
    *,
    on_batch: Callable[[int], None] | None = None,
    counts: TokenCounts | None = None,
    cache: ScoreCache | None = None,
) -> list[tuple[float, bool]]:
    """Return (log P(continuation | context), is_greedy) for pairs of token ids, in order.

    Without a context the first token of the continuation is the condition and not scored.
    Shared prefixes are computed once; `cache` and errors as in `score`.
    """
    rows = []
    for i, (context, continuation) in enumerate(pairs):
        target = continuation if context else continuation[1:]
        if not target:
            raise ValueError(f"pair {i}: nothing to score without a context")
        rows.append([Request(i, (context + continuation)[:-1], target=target)])
    job = _Job(model, batch_tokens, on_batch, counts, cache, 4 * SAVED_QUESTIONS)
    names = [f"pair {i}" for i in range(len(pairs))]
    results = _results(job, rows, names, pairs)
    return [(some[0].values[0], some[0].is_greedy) for some in results]


def truncate_left(context: Ids, continuation: Ids, max_length: int) -> Pair:
    """Cut a pair to `max_length` + 1 tokens (the last is scored and never run) from the left.

    As lm-evaluation-harness does; a continuation longer than that keeps no context.
    """
    ids = (context + continuation)[-(max_length + 1) :]
    split = max(0, len(ids) - len(continuation))
    return ids[:split], ids[split:]


def normalise(name: str, values: Sequence[float]) -> ChoiceScores:
    """Return the scores of question `name` from its choices' log-likelihoods, on any scale.

    Raises UserError where one of them is not finite.
    """
    check_finite(name, values)
    top = max(values)
    total = math.log(sum(math.exp(value - top) for value in values)) + top
    log_likelihood = tuple(value - total for value in values)
    probability = tuple(math.exp(value) for value in log_likelihood)
    best, second = sorted(probability, reverse=True)[:2]
    answer = 1 + list(values).index(top)
    return ChoiceScores(name, log_likelihood, probability, answer, best - second)


def check_finite(name: str, values: Sequence[float]) -> None:
    """Raise UserError where a log-likelihood is not finite: it must never become an answer."""
    if not all(math.isfinite(value) for value in values):
        raise UserError(
            f"id {name}: the model returned a log-likelihood that is not finite. "
            "Check its weights, or use dtype: float32 or bfloat16."
        )


def _score(
    job: _Job,
    encoded: Sequence[Encoded],
    on_scores: Callable[[Mapping[int, ChoiceScores]], None] | None = None,
) -> list[ChoiceScores]:
    rows = [_requests(row, question) for row, question in enumerate(encoded)]
    names = [one.id for one in encoded]
    keys = [(one.prompt_ids, one.label_ids, one.terminator_ids) for one in encoded]

    def scores(row: int, results: list[Result]) -> ChoiceScores:
        shared = rows[row][0].is_shared
        values = [value for one in results[shared:] for value in one.values]
        mass = math.fsum(math.exp(value) for value in values)
        mass *= math.exp(results[0].values[0]) if shared else 1.0
        return replace(normalise(names[row], values), label_mass=mass)

    def on_results(complete: Mapping[int, list[Result]]) -> None:
        if on_scores:
            on_scores({row: scores(row, results) for row, results in complete.items()})

    results = _results(job, rows, names, keys, on_results)
    return [scores(row, some) for row, some in enumerate(results)]


def _requests(row: int, question: Encoded) -> list[Request]:
    """One request if the labels differ in one token after what all share, else one each.

    The shared tokens, if there are any, come first: their probability is part of the labels'.
    """
    labels = [ids + question.terminator_ids for ids in question.label_ids]
    size = min(common_prefix_length(labels[0], ids) for ids in labels)
    prefix, shared = question.prompt_ids, labels[0][:size]
    requests = []
    if shared:
        requests.append(Request(row, prefix + shared[:-1], target=shared, is_shared=True))
    ids = prefix + shared
    tails = [label[size:] for label in labels]
    if all(len(tail) == 1 for tail in tails):
        return [*requests, Request(row, ids, candidate_tokens=tuple(tail[0] for tail in tails))]
    return [*requests, *(Request(row, ids + tail[:-1], target=tail) for tail in tails)]


def _results(
    job: _Job,
    rows: Sequence[list[Request]],
    names: Sequence[str],
    tokens: Sequence[Any],
    on_results: OnRows | None = None,
) -> list[list[Result]]:
    """Return the results of each row's requests; equal rows are computed once with a cache."""
    cache, found = job.cache, dict[int, list[Result]]()
    keys = [cache.key(one) for one in tokens] if cache else [str(i) for i in range(len(rows))]
    first = {key: i for i, key in reversed(list(enumerate(keys)))}
    if cache:
        stored = cache.read(list(first))
        found = {first[key]: _decode(value) for key, value in stored.items()}

    def on_rows(complete: Mapping[int, list[Result]]) -> None:
        complete = _recompute(job, rows, complete)
        for row, results in complete.items():
            check_finite(names[row], [value for one in results for value in one.values])
        if cache:
            cache.write({keys[row]: complete[row] for row in complete})
        found.update(complete)
        if job.on_batch:
            job.on_batch(len(complete))
        if on_results:
            on_results(complete)

    if job.on_batch and (known := len(rows) - len(first) + len(found)):
        job.on_batch(known)
    if on_results and found:
        on_results(dict(found))
    unique = [request for i in sorted(first.values()) for request in rows[i]]
    if len(found) < len(first):
        _run(job, unique, on_rows, set(found))
    return [found[first[key]] for key in keys]


def _recompute(
    job: _Job, rows: Sequence[list[Request]], complete: Mapping[int, list[Result]]
) -> dict[int, list[Result]]:
    """Return the results with rows that overflowed in 16 bit computed again in float32."""
    values = {row: [v for one in some for v in one.values] for row, some in complete.items()}
    some = [row for row, found in values.items() if not all(map(math.isfinite, found))]
    found = dict(complete)
    if some:
        counts = job.counts if job.counts is not None else TokenCounts()
        counts.recomputed_rows += len(some)
        requests = [request for row in some for request in rows[row]]
        with float32_by_layer(job.model):
            reader = make_reader(job.model)
            run_unshared(reader, requests, found.update, done=(), counts=TokenCounts())
    return found


def _decode(value: Any) -> list[Result]:
    return [Result(tuple(values), is_greedy) for values, is_greedy in value]


def _run(job: _Job, requests: Sequence[Request], on_rows: OnRows, done: Container[int]) -> None:
    counts = job.counts if job.counts is not None else TokenCounts()
    with evaluation_mode(job.model):
        reader = make_reader(job.model)
        if not supports_tree_attention(reader):
            run_unshared(reader, requests, on_rows, done=done, counts=counts)
            return
        length = original_length(job.model.config) or UNLIMITED
        long = {request.row for request in requests if len(request.ids) > length}
        if long:  # frequencies follow the longest row that is computed together
            each = [request for request in requests if request.row in long]
            run_unshared(reader, each, on_rows, done=done, counts=counts)
            requests = [request for request in requests if request.row not in long]
        limit = _max_tokens(job, reader.device.type)
        rows = job.max_rows if job.cache else UNLIMITED
        runner = PrefixTreeRunner(reader, limit, max_rows=rows, counts=counts)
        runner.run(requests, on_rows, done)


def _max_tokens(job: _Job, device: str) -> int:
    """Return the largest batch: fewer tokens where caches are small or results are saved."""
    limit = job.batch_tokens
    if device == "cpu":
        limit = min(limit, CPU_VALUES // job.model.config.get_text_config().hidden_size)
    if job.cache:
        flop = SAVED_FLOP.get(device, SAVED_FLOP["cuda"])
        limit = min(limit, int(flop / (2 * causal_of(job.model).num_parameters())))
    return limit
