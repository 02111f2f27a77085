"""A benchmark's rows: a context, what may follow it, and which of these is right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from solution.scoring.prefix_tree import Ids, common_prefix_length
from solution.scoring.requests import TokenCounts
from solution.scoring.score_cache import ScoreCache
from solution.scoring.scorer import log_likelihoods, truncate_left

if TYPE_CHECKING:
    from solution.models import LoadedModel

# Rows a part at least: what is kept together, and what a killed run repeats at most.
PART = 128
# What all rows begin with is computed again in every part; it may cost one part in so many.
REPEATED = 16

# How a context and what follows it become tokens: as one text that is cut where the context
# ends (the harness), or each for itself and without special tokens (the polyglot fork).
Encoding = Literal["joined", "apart"]
# The sum of a choice's log-probabilities, and whether the model would say it by itself.
Answered = tuple[float, bool]
Pair = tuple[Ids, Ids]


@dataclass(frozen=True)
class Row:
    """One row of a benchmark as a model is asked it; `answer` counts from 1.

    `group` is equal in rows that hang together, `subject` names a part with a score of its own,
    `lengths` are the characters of the choices, `true` marks all right ones where several are.
    """

    id: str
    context: str
    choices: tuple[str, ...]
    answer: int
    group: str = ""
    subject: str = ""
    lengths: tuple[int, ...] = ()
    true: tuple[bool, ...] = ()


def score_rows(
    loaded: LoadedModel,
    rows: Sequence[Row],
    encoding: Encoding,
    *,
    batch_tokens: int,
    cache: ScoreCache,
    work: TokenCounts,
    on_rows: Callable[[int], None],
) -> tuple[list[list[Answered]], int]:
    """Every choice of every row answered, in order, and how many rows lost their beginning.

    Goes part by part; a part that `cache` holds costs nothing, so an interrupted run goes on
    from there. `on_rows` hears how many rows are done, `work` adds up the cost.
    """
    pairs, truncated = encode_rows(loaded, rows, encoding)

    def compute(some: list[Pair]) -> list[Answered]:
        return log_likelihoods(loaded.model, some, batch_tokens, counts=work)

    answered: list[list[Answered]] = [[] for _ in rows]
    for part in _parts(pairs):
        asked = [pair for i in part for pair in pairs[i]]
        found = iter(cache.fill(asked, lambda pair: pair, compute))
        for i in part:
            answered[i] = [_answered(next(found)) for _ in pairs[i]]
        on_rows(len(part))
    return answered, truncated


def encode_rows(
    loaded: LoadedModel, rows: Sequence[Row], encoding: Encoding
) -> tuple[list[list[Pair]], int]:
    """Contexts and continuations as tokens; a too long context loses its beginning, counted."""
    encode = _joined(loaded) if encoding == "joined" else _apart(loaded.tokenizer)
    truncated, found = 0, []
    for row in rows:
        whole = [encode(row.context, choice) for choice in row.choices]
        cut = [_cut(pair, loaded.max_length) for pair in whole]
        truncated += cut != whole
        found.append(cut)
    return found, truncated


def _joined(loaded: LoadedModel) -> Callable[[str, str], Pair]:
    """The harness's own way: spaces that end the context belong to what follows."""
    import logging

    from solution.scoring.harness import ExamQA

    # It would warn of a model that is handed over loaded, for each task.
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    model = ExamQA(pretrained=loaded.model, tokenizer=loaded.tokenizer)

    def encode(context: str, continuation: str) -> Pair:
        head, tail = model._encode_pair(context, continuation)
        return tuple(head), tuple(tail)

    return encode


def _apart(tokenizer: Any) -> Callable[[str, str], Pair]:
    known: dict[str, Ids] = {}

    def ids(text: str) -> Ids:
        if text not in known:
            known[text] = tuple(tokenizer.encode(text, add_special_tokens=False))
        return known[text]

    return lambda context, continuation: (ids(context), ids(continuation))


def _cut(pair: Pair, max_length: int) -> Pair:
    """As much of the end as fits, the last token being asked for and never run."""
    return truncate_left(*pair, max_length)


def _parts(pairs: Sequence[Sequence[Pair]]) -> list[list[int]]:
    """Rows that begin alike stand together; parts grow with what all rows begin with."""
    if not pairs:
        return []
    order = sorted(range(len(pairs)), key=lambda i: (pairs[i][0], i))
    first, last = pairs[order[0]][0][0], pairs[order[-1]][0][0]
    shared = common_prefix_length(first, last)
    own = sum(len(row[0][0]) - shared + sum(len(t) for _, t in row) for row in pairs)
    size = max(PART, round(REPEATED * shared * len(pairs) / max(1, own)))
    return [order[start : start + size] for start in range(0, len(order), size)]


def _answered(value: Sequence[Any]) -> Answered:
    return float(value[0]), bool(value[1])
