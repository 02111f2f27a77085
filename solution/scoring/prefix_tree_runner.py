"""Runs requests through a model: shared prefixes once, in batches that fit into memory."""

from __future__ import annotations

from collections.abc import Container, Sequence

from solution.core import UserError, log
from solution.scoring.lm_head import LogitReader
from solution.scoring.logprobs import LogprobAccumulator, OnRows
from solution.scoring.oom import free_memory, is_out_of_memory
from solution.scoring.prefix_tree import (
    Node,
    Read,
    build_prefix_tree,
    mark_read,
    sum_subtrees,
)
from solution.scoring.requests import Request, Result, TokenCounts
from solution.scoring.tree_batch import BLOCK_TOKENS, KVCache, KVSpan, TreeBatch

# A smaller batch is not tried when memory runs out.
MIN_BATCH_TOKENS = 32
UNLIMITED = 10**9


class PrefixTreeRunner:
    """Runs requests through one model; remembers the batch size that memory allows.

    Which tokens are computed together is decided by all requests and the limits (`max_tokens`,
    `max_rows`) alone. Rows that are `done` are left out of their batch afterwards, so that an
    interrupted run computes what is missing exactly as an uninterrupted one.
    """

    def __init__(
        self,
        reader: LogitReader,
        max_tokens: int,
        *,
        max_rows: int = UNLIMITED,
        counts: TokenCounts | None = None,
        block_tokens: int = BLOCK_TOKENS,
    ) -> None:
        self.reader, self.block_tokens = reader, block_tokens
        self.max_tokens, self.max_rows = max(max_tokens, MIN_BATCH_TOKENS), max_rows
        self.counts = counts if counts is not None else TokenCounts()

    def run(
        self, requests: Sequence[Request], on_rows: OnRows, done: Container[int] = ()
    ) -> None:
        """Compute the requests of all rows that are not `done`; `on_rows` gets the results.

        Raises UserError where not even a small part of a request fits into memory.
        """
        roots = self._tree(requests, done)
        self.accumulator = LogprobAccumulator(requests, on_rows)
        _count(self.counts, requests, done)
        self.counts.tokens_unique += sum(root.pending_tokens for root in roots)
        self._run(roots, ())

    def _tree(self, requests: Sequence[Request], done: Container[int]) -> list[Node]:
        roots, ends = build_prefix_tree([request.ids for request in requests])
        seen = set()
        for i, (request, end) in enumerate(zip(requests, ends, strict=True)):
            if request.row not in seen:
                seen.add(request.row)
                end.rows += 1
            if request.row not in done:
                first = len(request.ids) - request.num_logits
                for k in range(request.num_logits):
                    mark_read(end, Read(first + k, i, k))
        sum_subtrees(roots)
        return roots

    def _run(self, nodes: Sequence[Node], prefix: tuple[KVSpan, ...]) -> None:
        """Run subtrees that continue a prefix, the largest first."""
        batch: list[Node] = []
        tokens = rows = 0
        for node in sorted(nodes, key=lambda one: -one.tokens):
            if node.tokens > self.max_tokens or node.rows > self.max_rows:
                self._run_trunk(node, prefix)
                continue
            full = tokens + node.tokens > self.max_tokens or rows + node.rows > self.max_rows
            if batch and full:
                self._run_batch(batch, prefix)
                batch, tokens, rows = [], 0, 0
            batch.append(node)
            tokens, rows = tokens + node.tokens, rows + node.rows
        if batch:
            self._run_batch(batch, prefix)

    def _run_batch(self, nodes: list[Node], prefix: tuple[KVSpan, ...]) -> None:
        batch = TreeBatch()
        batch.add_trees(nodes, prefix, self.block_tokens)
        if not self._try(batch):
            self._run(nodes, prefix)

    def _run_trunk(self, node: Node, prefix: tuple[KVSpan, ...]) -> None:
        """Run a node whose subtree exceeds a batch, then its children on its KV cache."""
        if not node.pending_tokens:
            return
        start = 0
        while start < len(node.ids):
            stop = min(start + self.max_tokens, len(node.ids))
            kv_cache: KVCache = {}
            batch = TreeBatch(kv_cache=kv_cache)
            batch.add_run(node, start, stop, prefix)
            if self._try(batch):
                prefix = (*prefix, KVSpan(0, stop - start, kv_cache))
                start = stop
        self._run(node.children, prefix)

    def _try(self, batch: TreeBatch) -> bool:
        """Run one batch; return False after halving the batch size if memory ran out."""
        tokens, values = len(batch.ids), None
        if not tokens:
            return True
        try:
            values = self._forward(batch)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        if values is None:  # here the failed call's tensors are no longer referenced
            free_memory()
            self._halve(tokens)
            return False
        self.counts.tokens_computed += tokens
        self.accumulator.add(batch.reads, values)
        return True

    def _forward(self, batch: TreeBatch) -> list[Result]:
        """Return the value of each read of the batch."""
        positions = sorted({read.position for read in batch.reads})
        states = self.reader.forward_tree(batch, positions)
        index = {position: i for i, position in enumerate(positions)}
        reads = [read._replace(position=index[read.position]) for read in batch.reads]
        return self.accumulator.read(self.reader, states, reads)

    def _halve(self, tokens: int) -> None:
        if tokens <= MIN_BATCH_TOKENS:
            raise _no_memory(tokens)
        self.max_tokens = max(tokens // 2, MIN_BATCH_TOKENS)
        log(f"Out of memory with {tokens} tokens per batch; continuing with {self.max_tokens}.")


def run_unshared(
    reader: LogitReader,
    requests: Sequence[Request],
    on_rows: OnRows,
    *,
    done: Container[int],
    counts: TokenCounts,
) -> None:
    """Compute each request by itself, for models that do not support tree attention."""
    accumulator = LogprobAccumulator(requests, on_rows)
    _count(counts, requests, done)
    for i, request in enumerate(requests):
        if request.row in done:
            continue
        reads = [Read(k, i, k) for k in range(request.num_logits)]
        try:
            states = reader.forward_row(request.ids, request.num_logits)
            values = accumulator.read(reader, states, reads)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise _no_memory(len(request.ids)) from error
        counts.tokens_unique += len(request.ids)
        counts.tokens_computed += len(request.ids)
        accumulator.add(reads, values)


def _count(counts: TokenCounts, requests: Sequence[Request], done: Container[int]) -> None:
    pending = [request for request in requests if request.row not in done]
    # What labels share is read on the way to them and costs no sequence of its own.
    counted = [request for request in pending if not request.is_shared]
    counts.requests += len(counted)
    counts.tokens_unshared += sum(len(request.ids) for request in counted)


def _no_memory(tokens: int) -> UserError:
    return UserError(
        f"Not enough memory for {tokens} tokens at a time. "
        "Use a smaller model, quantization: 4bit, or a smaller max_length."
    )
