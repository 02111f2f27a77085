"""How parts of a prefix tree lie side by side in one sequence, and who sees whom."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from solution.scoring.tree import Node, walk

if TYPE_CHECKING:
    from torch import Tensor

# Neighbours of at most this many tokens share one masked block: fewer, larger calls, at the
# price of products between branches that the mask throws away.
BLOCK_TOKENS = 256
# A longer run behind others is attended to in pieces: a masked block computes its full square.
PIECE_TOKENS = 256

# Layer -> the keys and values (1, heads, tokens, width) it had computed.
Kept = dict[Any, tuple["Tensor", "Tensor"]]


@dataclass(frozen=True)
class Span:
    """Neighbouring tokens: of the sequence itself, or of what an earlier one kept."""

    start: int
    stop: int
    kept: Kept | None = None


@dataclass(eq=False)
class Block:
    """Tokens start..stop of the sequence, which attend to `before` and to themselves.

    Token i of the block sees token j of it where j <= i < until[j]. The spans before hold
    the positions from 0 on, so that the first token stands at position `length`.
    """

    start: int
    stop: int
    before: tuple[Span, ...]
    positions: list[int]
    until: list[int]

    @property
    def length(self) -> int:
        """How many tokens come before."""
        return sum(span.stop - span.start for span in self.before)

    def is_plain(self, window: int | None) -> bool:
        """Whether it is one run from position 0 that sees all of itself: it needs no mask."""
        fits = window is None or len(self.until) <= window
        return fits and not self.before and min(self.until) == len(self.until)


@dataclass(eq=False)
class Layout:
    """One sequence to compute: its tokens, their positions, its blocks and what is read.

    `reads` lists (place in the sequence, what).
    """

    ids: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    reads: list[tuple[int, int]] = field(default_factory=list)
    masks: dict[Any, Tensor] = field(default_factory=dict)
    kept: Kept | None = None

    def add_trees(
        self, nodes: Sequence[Node], before: tuple[Span, ...], block_tokens: int
    ) -> None:
        """Lay out subtrees that grow behind the same spans."""
        waiting = [(list(nodes), before)]
        while waiting:
            siblings, before = waiting.pop()
            for group in _groups(siblings, block_tokens):
                if group[0].tokens <= block_tokens:
                    self._add_block(list(walk(group)), before)
                    continue
                behind = self.add_run(group[0], 0, len(group[0].ids), before)
                waiting.append((group[0].children, behind))

    def add_run(
        self, node: Node, start: int, stop: int, before: tuple[Span, ...]
    ) -> tuple[Span, ...]:
        """Lay out a node's tokens start..stop; the spans that lead to and through them."""
        # A run from position 0 is computed fastest whole, without a mask.
        step = PIECE_TOKENS if before else max(stop - start, 1)
        for first in range(start, stop, step):
            last = min(first + step, stop)
            place = self._append(node, first, last)
            count = last - first
            block = Block(place, place + count, before, self.positions[place:], [count] * count)
            self.blocks.append(block)
            before = _joined(before, Span(place, place + count))
        return before

    def _add_block(self, nodes: list[Node], before: tuple[Span, ...]) -> None:
        first = len(self.ids)
        until: list[int] = []
        for node in nodes:
            until += [len(until) + node.tokens] * len(node.ids)
            self._append(node, 0, len(node.ids))
        place = len(self.ids)
        self.blocks.append(Block(first, place, before, self.positions[first:], until))

    def _append(self, node: Node, start: int, stop: int) -> int:
        place = len(self.ids)
        self.ids += node.ids[start:stop]
        self.positions += range(node.start + start, node.start + stop)
        self.reads += [
            (place + offset - start, what)
            for offset, what in node.reads
            if start <= offset < stop
        ]
        return place

    def mask(self, block: Block, window: int | None, like: Tensor) -> Tensor:
        """What a block's tokens may see, to be added to the scores: 0 or minus infinity.

        `window` counts the positions that a token sees, itself included.
        """
        key = (block, window, like.device, like.dtype)
        if key not in self.masks:
            self.masks[key] = _mask(block, window, like)
        return self.masks[key]


def _mask(block: Block, window: int | None, like: Tensor) -> Tensor:
    import torch

    count = block.stop - block.start
    own = torch.arange(count, device=like.device)
    until = torch.tensor(block.until, device=like.device)
    seen = (own[None] <= own[:, None]) & (own[:, None] < until[None])
    before = torch.ones(count, block.length, dtype=torch.bool, device=like.device)
    seen = torch.cat((before, seen), 1)
    if window is not None:
        at = torch.tensor(block.positions, device=like.device)
        keys = torch.cat((torch.arange(block.length, device=like.device), at))
        seen &= at[:, None] - keys[None] < window
    hidden = torch.full(seen.shape, float("-inf"), dtype=like.dtype, device=like.device)
    return hidden.masked_fill(seen, 0)[None, None]


def _groups(siblings: list[Node], block_tokens: int) -> Iterator[list[Node]]:
    """Small neighbours together while they fit a block; a large one, or a long run, alone."""
    group: list[Node] = []
    size = 0
    for node in siblings:
        if group and size + node.tokens > block_tokens:
            yield group
            group, size = [], 0
        group.append(node)
        size += node.tokens
    if group:
        yield group


def _joined(before: tuple[Span, ...], span: Span) -> tuple[Span, ...]:
    """The spans with one more; two that touch become one, which needs no copy to be read."""
    if before and before[-1].kept is None and before[-1].stop == span.start:
        return (*before[:-1], Span(before[-1].start, span.stop))
    return (*before, span)
