"""Values of requests from hidden states, and their collection into results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from solution.scoring import lm_head
from solution.scoring.prefix_tree import Read
from solution.scoring.requests import Request, Result

if TYPE_CHECKING:
    from torch import Tensor

    from solution.scoring.lm_head import LogitReader

# Positions whose logits exist at a time: with VOCAB_CHUNK 16 MB in float32.
POSITION_CHUNK = 256
# The results of some rows that are complete, by row.
OnRows = Callable[[Mapping[int, list[Result]]], None]


class LogprobAccumulator:
    """Collects what is read for each request, in whatever order batches are computed.

    `on_rows` receives complete rows, whenever no row is incomplete: the rows that one call
    hands over are those of whole batches, so that the rest can be computed in equal batches.
    """

    def __init__(self, requests: Sequence[Request], on_rows: OnRows) -> None:
        self.requests, self.on_rows = requests, on_rows
        self._found: dict[tuple[int, int], Result] = {}
        self._members: dict[int, list[int]] = {}
        for i, request in enumerate(requests):
            self._members.setdefault(request.row, []).append(i)
        self._missing = Counter(r.row for r in requests for _ in range(r.num_logits))
        self._complete: dict[int, list[Result]] = {}
        self._incomplete: set[int] = set()

    def read(self, reader: LogitReader, states: Tensor, reads: Sequence[Read]) -> list[Result]:
        """Return the value of each read; its position is an index into states (n, hidden)."""
        groups: dict[tuple[int, ...], list[int]] = {}
        for i, read in enumerate(reads):
            groups.setdefault(self.requests[read.request].candidate_tokens, []).append(i)
        found: dict[int, Result] = {}
        for candidates, members in groups.items():
            at = [reads[i].position for i in members]
            if candidates:
                values = _candidate_logprobs(reader, states, at, candidates)
            else:
                tokens = [self.requests[reads[i].request].target[reads[i].k] for i in members]
                values = _target_logprobs(reader, states, at, tokens)
            found |= zip(members, values, strict=True)
        return [found[i] for i in range(len(reads))]

    def add(self, reads: Sequence[Read], values: Sequence[Result]) -> None:
        """Store values of reads, and hand over the rows that they complete."""
        for read, value in zip(reads, values, strict=True):
            self._found[read.request, read.k] = value
            row = self.requests[read.request].row
            self._missing[row] -= 1
            if self._missing[row]:
                self._incomplete.add(row)
                continue
            self._incomplete.discard(row)
            self._complete[row] = [self._result(i) for i in self._members[row]]
        if self._complete and not self._incomplete:
            complete, self._complete = self._complete, {}
            self.on_rows(complete)

    def _result(self, index: int) -> Result:
        request = self.requests[index]
        parts = [self._found.pop((index, k)) for k in range(request.num_logits)]
        if request.candidate_tokens:
            return parts[0]
        return Result((sum(p.values[0] for p in parts),), all(p.is_greedy for p in parts))


def _candidate_logprobs(
    reader: LogitReader, states: Tensor, at: Sequence[int], candidates: Sequence[int]
) -> Iterator[Result]:
    """Yield the log-probabilities of the candidates over the whole vocabulary, per position."""
    import torch

    tokens = torch.tensor(candidates, device=states.device)
    for first in range(0, len(at), POSITION_CHUNK):
        own = states[torch.tensor(at[first : first + POSITION_CHUNK], device=states.device)]
        logits = reader.token_logits(own, tokens).double()
        total: Tensor | None = None
        for _, chunk in reader.iter_vocab_chunks(own, lm_head.VOCAB_CHUNK):
            part = chunk.logsumexp(-1).double()
            total = part if total is None else torch.logaddexp(total, part)
        assert total is not None, "a vocabulary has tokens"
        values = logits - total.to(logits.device)[:, None]
        yield from (Result(tuple(row)) for row in values.tolist())


def _target_logprobs(
    reader: LogitReader, states: Tensor, at: Sequence[int], tokens: Sequence[int]
) -> Iterator[Result]:
    """Log-probabilities of tokens over the vocabulary; the head runs once per state."""
    import torch

    by_state: dict[int, list[int]] = {}
    for i, position in enumerate(at):
        by_state.setdefault(position, []).append(i)
    found: dict[int, Result] = {}
    positions = list(by_state)
    for first in range(0, len(positions), POSITION_CHUNK):
        some = positions[first : first + POSITION_CHUNK]
        members = [(row, i) for row, position in enumerate(some) for i in by_state[position]]
        values = _log_softmax_at(
            reader,
            states[torch.tensor(some, device=states.device)],
            [row for row, _ in members],
            [tokens[i] for _, i in members],
        )
        found |= zip((i for _, i in members), values, strict=True)
    return (found[i] for i in range(len(at)))


def _log_softmax_at(
    reader: LogitReader, states: Tensor, rows: Sequence[int], tokens: Sequence[int]
) -> list[Result]:
    """Return the log-probability of each (row of states, token), and whether it is greedy.

    The vocabulary is processed in chunks; what is kept of each row is its largest logit and
    the running log-sum-exp (Milakov and Gimelshein 2018, arXiv 1805.02867).
    """
    import torch

    top = total = own = None
    for start, logits in reader.iter_vocab_chunks(states, lm_head.VOCAB_CHUNK):
        at = torch.tensor(rows, device=logits.device)
        wanted = torch.tensor(tokens, device=logits.device) - start
        here = (wanted >= 0) & (wanted < logits.shape[1])
        chunk_own = logits[at, wanted.clamp(0, logits.shape[1] - 1)]
        chunk_top, chunk_total = logits.amax(-1), logits.logsumexp(-1).double()
        if top is None or total is None or own is None:
            top, total, own = chunk_top, chunk_total, chunk_own
        else:
            top, total = torch.maximum(top, chunk_top), torch.logaddexp(total, chunk_total)
            own = torch.where(here, chunk_own, own)
    assert top is not None and total is not None and own is not None, "a vocabulary has tokens"
    values = (own.double() - total[at]).tolist()
    greedy = (own == top[at]).tolist()
    return [Result((value,), one) for value, one in zip(values, greedy, strict=True)]
