"""Runs passes as plain padded batches, for models that can't compute a prefix tree."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from solution.core import UserError, log
from solution.scoring.memory import free_memory, out_of_memory
from solution.scoring.passes import Pass, TokenCounts, Value
from solution.scoring.reader import Reader
from solution.scoring.reading import Read, Tally


class Padded:
    """Runs passes through one model; remembers the budget that memory allows."""

    def __init__(
        self,
        reader: Reader,
        budget: int,
        on_batch: Callable[[int], None] | None,
        work: TokenCounts,
    ) -> None:
        self.reader, self.budget = reader, budget
        self.on_batch, self.work = on_batch, work

    def run(self, passes: Sequence[Pass]) -> list[Value]:
        """The value of every pass, in order; the longest run first, to run out early.

        Raises UserError where memory does not hold a single pass.
        """
        tally = Tally(passes)
        asked = [[tally.expect(i, k) for k in range(one.keep)] for i, one in enumerate(passes)]
        queue = sorted(range(len(passes)), key=lambda i: (-len(passes[i].ids), i))
        self.work.passes += len(passes)
        self.work.plain += sum(len(one.ids) for one in passes)
        self.work.tree += sum(len(one.ids) for one in passes)
        while queue:
            batch = self._next(queue, passes)
            read = self._try(tally, [passes[i] for i in batch], [asked[i] for i in batch])
            if read is None:
                continue
            queue = queue[len(batch) :]
            rows = tally.take([(0, what) for i in batch for what in asked[i]], read)
            if self.on_batch and rows:
                self.on_batch(rows)
        return tally.values()

    def run_alone(self, groups: Sequence[Sequence[Pass]]) -> list[Value]:
        """As `run`, each pass in its own batch, so that nothing else bears on its values."""
        apart = Padded(self.reader, 1, None, TokenCounts())
        values = [value for group in groups for value in apart.run(group)]
        self.work.computed += apart.work.computed
        self.work.settled += apart.work.computed
        return values

    def _next(self, queue: list[int], passes: Sequence[Pass]) -> list[int]:
        if not self.reader.by_rows:  # whole vocabularies of a batch would fill the memory
            return queue[:1]
        longest = len(passes[queue[0]].ids)
        return queue[: max(1, self.budget // longest)]

    def _try(
        self, tally: Tally, batch: list[Pass], asked: list[list[int]]
    ) -> list[Read] | None:
        """What the batch reads, or None after halving the budget that memory did not hold."""
        try:
            return self._forward(tally, batch, asked)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            tokens = len(batch) * len(batch[0].ids)
        free_memory()
        if len(batch) == 1:
            raise UserError(
                f"Not enough memory for one question of {tokens} tokens. "
                "Take a smaller model, quantization: 4bit, or a smaller max_length."
            )
        self.budget = tokens // 2
        log(f"Out of memory at {tokens} tokens a batch; going on with {self.budget}.")
        return None

    def _forward(self, tally: Tally, batch: list[Pass], asked: list[list[int]]) -> list[Read]:
        import torch

        longest = len(batch[0].ids)
        padded = [one.ids + (0,) * (longest - len(one.ids)) for one in batch]
        ids = torch.tensor(padded, device=next(self.reader.model.parameters()).device)
        # The last position read in the shortest row is the first that is kept.
        keep = max(longest - len(one.ids) + one.keep for one in batch)
        states = self.reader.states(ids, keep)
        firsts = [i * keep + keep - longest + len(p.ids) - p.keep for i, p in enumerate(batch)]
        reads = [
            (first + k, what)
            for first, whats in zip(firsts, asked, strict=True)
            for k, what in enumerate(whats)
        ]
        self.work.computed += longest * len(batch)
        self.work.padding += longest * len(batch) - sum(len(one.ids) for one in batch)
        return tally.read(self.reader, states.flatten(0, 1), reads)
