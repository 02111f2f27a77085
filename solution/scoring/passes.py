"""What the engine is asked to compute, what it gives back, and what that cost."""

from __future__ import annotations

from dataclasses import dataclass

from solution.scoring.tree import Ids


@dataclass(frozen=True)
class Pass:
    """One sequence to run for the question at `row`.

    With `rivals`, the logits of these tokens behind the last position are read; without, the
    log-likelihood of the tokens of `answer`, which ids hold at their end but for the last one.
    """

    row: int
    ids: Ids
    rivals: Ids = ()
    answer: Ids = ()

    @property
    def keep(self) -> int:
        """How many last positions are read."""
        return max(1, len(self.answer))


@dataclass(frozen=True)
class Value:
    """What a pass read: one logit a rival, or the log-likelihood of its answer alone.

    `greedy` says whether every token of the answer was the likeliest of all.
    """

    numbers: tuple[float, ...]
    greedy: bool = False


@dataclass
class TokenCounts:
    """What scoring cost, in tokens but for `passes`.

    `passes` counts the sequences asked for and `plain` their tokens, `tree` what is left where
    shared beginnings count once, `computed` what ran through the model, `padding` and what was
    run again to settle near ties included.
    """

    passes: int = 0
    plain: int = 0
    tree: int = 0
    computed: int = 0
    padding: int = 0
    settled: int = 0
