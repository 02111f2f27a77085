"""A batch of the prefix tree: one sequence without padding, cut into attention blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from solution.scoring.prefix_tree import Node, Read, iter_nodes

if TYPE_CHECKING:
    from torch import Tensor

# Neighbours of at most this many tokens share one masked block: fewer, larger calls, at the
# price of products between branches that the mask discards.
BLOCK_TOKENS = 256
# A longer run after a prefix is attended to in pieces: a masked block computes its full square.
PIECE_TOKENS = 256

# Layer -> its keys and values (1, heads, tokens, width).
KVCache = dict[Any, tuple["Tensor", "Tensor"]]


@dataclass(frozen=True)
class KVSpan:
    """Adjacent tokens of the batch itself, or of an earlier one whose KV cache was kept."""

    start: int
    stop: int
    kv_cache: KVCache | None = None


@dataclass(eq=False)
class AttentionBlock:
    """Tokens start..stop of the batch, which attend to `prefix` and to each other.

    Token i of the block sees token j of it where j <= i < subtree_end[j]. The spans of `prefix`
    hold the positions from 0 on, so that the first token has position `prefix_length`.
    """

    start: int
    stop: int
    prefix: tuple[KVSpan, ...]
    positions: list[int]
    subtree_end: list[int]

    @property
    def prefix_length(self) -> int:
        """Number of tokens before the block."""
        return sum(span.stop - span.start for span in self.prefix)

    def is_causal(self, window: int | None) -> bool:
        """Whether it is one run from position 0, which needs no mask but the causal one."""
        fits = window is None or len(self.subtree_end) <= window
        return fits and not self.prefix and min(self.subtree_end) == len(self.subtree_end)


@dataclass(eq=False)
class TreeBatch:
    """One sequence to compute: tokens, positions, attention blocks and the positions to read.

    With a `kv_cache`, the keys and values of every layer are stored in it.
    """

    ids: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    blocks: list[AttentionBlock] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    masks: dict[Any, Tensor] = field(default_factory=dict)
    kv_cache: KVCache | None = None

    def add_trees(
        self, nodes: Sequence[Node], prefix: tuple[KVSpan, ...], block_tokens: int
    ) -> None:
        """Append the pending tokens of subtrees that continue the same prefix."""
        queue = [(list(nodes), prefix)]
        while queue:
            siblings, prefix = queue.pop()
            for group in _groups(siblings, block_tokens):
                if group[0].pending_tokens <= block_tokens:
                    self._add_block(group, prefix)
                    continue
                extended = self.add_run(group[0], 0, len(group[0].ids), prefix)
                queue.append((group[0].children, extended))

    def add_run(
        self, node: Node, start: int, stop: int, prefix: tuple[KVSpan, ...]
    ) -> tuple[KVSpan, ...]:
        """Append a node's tokens start..stop; return the prefix extended by them."""
        # A run from position 0 is computed fastest whole, without a mask.
        step = PIECE_TOKENS if prefix else max(stop - start, 1)
        for first in range(start, stop, step):
            last = min(first + step, stop)
            begin, count = self._append(node, first, last), last - first
            self.blocks.append(
                AttentionBlock(
                    begin, begin + count, prefix, self.positions[begin:], [count] * count
                )
            )
            prefix = _extend(prefix, KVSpan(begin, begin + count))
        return prefix

    def _add_block(self, roots: list[Node], prefix: tuple[KVSpan, ...]) -> None:
        begin = len(self.ids)
        subtree_end: list[int] = []
        for node in iter_nodes(roots):
            if node.pending_tokens:
                subtree_end += [len(subtree_end) + node.pending_tokens] * len(node.ids)
                self._append(node, 0, len(node.ids))
        end = len(self.ids)
        self.blocks.append(
            AttentionBlock(begin, end, prefix, self.positions[begin:], subtree_end)
        )

    def _append(self, node: Node, start: int, stop: int) -> int:
        """Append a node's tokens start..stop; return the index of the first in the batch."""
        begin = len(self.ids)
        self.ids += node.ids[start:stop]
        self.positions += range(node.start + start, node.start + stop)
        self.reads += [
            read._replace(position=begin + read.position - start)
            for read in node.reads
            if start <= read.position < stop
        ]
        return begin

    def mask(
        self, block: AttentionBlock, window: int | None, like: Tensor, first: int, last: int
    ) -> Tensor:
        """Return the additive mask of a block's tokens first..last and what is before them.

        0 where a token sees another, else -inf; (1, 1, last - first, prefix + last). `window`
        counts the positions that a token sees, its own included.
        """
        key = (block, window, like.device, like.dtype, first)
        if key not in self.masks:
            self.masks[key] = _mask(block, window, like, first, last)
        return self.masks[key]


def _mask(
    block: AttentionBlock, window: int | None, like: Tensor, first: int, last: int
) -> Tensor:
    import torch

    device, prefix = like.device, block.prefix_length
    own = torch.arange(last, device=device)
    subtree_end = torch.tensor(block.subtree_end[:last], device=device)
    visible = (own[None] <= own[first:, None]) & (own[first:, None] < subtree_end[None])
    before = torch.ones(last - first, prefix, dtype=torch.bool, device=device)
    visible = torch.cat((before, visible), 1)
    if window is not None:
        at = torch.tensor(block.positions[:last], device=device)
        keys = torch.cat((torch.arange(prefix, device=device), at))
        visible &= at[first:, None] - keys[None] < window
    mask = torch.full(visible.shape, float("-inf"), dtype=like.dtype, device=device)
    return mask.masked_fill(visible, 0)[None, None]


def _groups(siblings: list[Node], block_tokens: int) -> Iterator[list[Node]]:
    """Group small neighbours that fit a block together; a large one is a group of its own."""
    group: list[Node] = []
    size = 0
    for node in siblings:
        if not node.pending_tokens:
            continue
        if group and size + node.pending_tokens > block_tokens:
            yield group
            group, size = [], 0
        group.append(node)
        size += node.pending_tokens
    if group:
        yield group


def _extend(prefix: tuple[KVSpan, ...], span: KVSpan) -> tuple[KVSpan, ...]:
    """Return the prefix with one more span; two that touch become one, which needs no copy."""
    if prefix and prefix[-1].kv_cache is None and prefix[-1].stop == span.start:
        return (*prefix[:-1], KVSpan(prefix[-1].start, span.stop))
    return (*prefix, span)
