"""Requests to the scoring engine, their results, and the number of tokens they took."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from solution.scoring.prefix_tree import Ids


@dataclass(frozen=True)
class Request:
    """One token sequence to run for the question at index `row`.

    With `candidate_tokens`, the log-probabilities of these tokens after the last position are
    wanted; otherwise the log-likelihood of `target`, whose tokens but the last end `ids`.
    """

    row: int
    ids: Ids
    candidate_tokens: Ids = ()
    target: Ids = ()
    is_shared: bool = False
    """Whether the target is what all labels of the question begin with, not a label."""

    @property
    def num_logits(self) -> int:
        """Number of positions, counted from the end, whose logits are needed."""
        return max(1, len(self.target))


class Result(NamedTuple):
    """One log-probability per candidate token, or the log-likelihood of the target alone.

    `is_greedy`: every token of the target has the highest probability at its position.
    """

    values: tuple[float, ...]
    is_greedy: bool = False


@dataclass
class TokenCounts:
    """What scoring took: the number of requests, and tokens.

    `tokens_unshared` counts the tokens of all requests, `tokens_unique` those that remain where
    shared prefixes count once, `tokens_computed` those that went through the model.
    `recomputed_rows` overflowed in 16 bit and were computed again in float32.
    """

    requests: int = 0
    tokens_unshared: int = 0
    tokens_unique: int = 0
    tokens_computed: int = 0
    recomputed_rows: int = 0
