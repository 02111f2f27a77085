"""Runs a prefix tree through a model: every shared token once, in batches that memory holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from solution.core import UserError, log
from solution.scoring.layout import BLOCK_TOKENS, Kept, Layout, Span
from solution.scoring.memory import free_memory, out_of_memory
from solution.scoring.passes import Pass, TokenCounts, Value
from solution.scoring.reader import Reader
from solution.scoring.reading import Tally
from solution.scoring.tree import Node, ask, grow

# The smallest batch: one that memory does not hold either is hopeless.
LEAST_TOKENS = 32
# A budget that cuts nothing.
WHOLE = 10**9


class Forest:
    """Runs passes through one model; remembers the budget that memory allows."""

    def __init__(
        self,
        reader: Reader,
        budget: int,
        on_batch: Callable[[int], None] | None,
        work: TokenCounts,
        block_tokens: int = BLOCK_TOKENS,
    ) -> None:
        self.reader, self.block_tokens = reader, block_tokens
        self.budget = max(budget, LEAST_TOKENS)
        self.on_batch, self.work = on_batch, work

    def run(self, passes: Sequence[Pass]) -> list[Value]:
        """The value of every pass, in order.

        Raises UserError where memory does not hold even a small part of one.
        """
        roots, ends = grow([one.ids for one in passes])
        self.tally = Tally(passes)
        for i, (one, end) in enumerate(zip(passes, ends, strict=True)):
            for k in range(one.keep):
                ask(end, len(one.ids) - one.keep + k, self.tally.expect(i, k))
        self.work.passes += len(passes)
        self.work.plain += sum(len(one.ids) for one in passes)
        self.work.tree += sum(root.tokens for root in roots)
        self._run(roots, ())
        return self.tally.values()

    def run_alone(self, groups: Sequence[Sequence[Pass]]) -> list[Value]:
        """As `run` for one group after another, so that nothing else bears on its values."""
        apart = Forest(self.reader, WHOLE, None, TokenCounts(), self.block_tokens)
        values = [value for group in groups for value in apart.run(group)]
        self.work.computed += apart.work.computed
        self.work.settled += apart.work.computed
        return values

    def _run(self, nodes: Sequence[Node], before: tuple[Span, ...]) -> None:
        """Run subtrees that grow behind kept spans, the largest first."""
        batch: list[Node] = []
        for node in sorted(nodes, key=lambda one: -one.tokens):
            if node.tokens > self.budget:
                self._run_trunk(node, before)
                continue
            if batch and sum(one.tokens for one in batch) + node.tokens > self.budget:
                self._run_batch(batch, before)
                batch = []
            batch.append(node)
        if batch:
            self._run_batch(batch, before)

    def _run_batch(self, batch: list[Node], before: tuple[Span, ...]) -> None:
        layout = Layout()
        layout.add_trees(batch, before, self.block_tokens)
        if not self._try(layout):
            self._run(batch, before)

    def _run_trunk(self, node: Node, before: tuple[Span, ...]) -> None:
        """Run a node whose subtree is too large for a batch, keep it, then run its children."""
        start = 0
        while start < len(node.ids):
            stop = min(start + self.budget, len(node.ids))
            kept: Kept = {}
            layout = Layout(kept=kept)
            layout.add_run(node, start, stop, before)
            if self._try(layout):
                before = (*before, Span(0, stop - start, kept))
                start = stop
        self._run(node.children, before)

    def _try(self, layout: Layout) -> bool:
        """Run one sequence; False after halving the budget where memory did not hold it."""
        tokens = len(layout.ids)
        try:
            read = self._forward(layout)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            read = None
        if read is None:
            free_memory()
            self._halve(tokens)
            return False
        self.work.computed += tokens
        rows = self.tally.take(layout.reads, read)
        if self.on_batch and rows:
            self.on_batch(rows)
        return True

    def _halve(self, tokens: int) -> None:
        if tokens <= LEAST_TOKENS:
            raise UserError(
                f"Not enough memory for {tokens} tokens at a time. "
                "Take a smaller model, quantization: 4bit, or a smaller max_length."
            )
        self.budget = max(tokens // 2, LEAST_TOKENS)
        log(f"Out of memory at {tokens} tokens a batch; going on with {self.budget}.")

    def _forward(self, layout: Layout) -> list[tuple[list[float], bool]]:
        """What each read of the layout gave."""
        places = sorted({place for place, _ in layout.reads})
        states = self.reader.branches(layout, places)
        where = {place: i for i, place in enumerate(places)}
        return self.tally.read(
            self.reader, states, [(where[place], what) for place, what in layout.reads]
        )
