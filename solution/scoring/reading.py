"""From hidden states to numbers: the head runs on the positions read, and no further."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from solution.scoring.passes import Pass, Value

if TYPE_CHECKING:
    from torch import Tensor

    from solution.scoring.reader import Reader

# Where an answer has several tokens, logits exist for so many positions and so many tokens of
# the vocabulary at a time (16 MB in float32), whatever its size.
LOGIT_ROWS, LOGIT_TOKENS = 256, 16384
# What one read gave: its numbers, and whether its token was the likeliest of all.
Read = tuple[list[float], bool]


class Tally:
    """Adds up what is read for each pass, in whatever order it is computed."""

    def __init__(self, passes: Sequence[Pass]) -> None:
        self.passes = passes
        self._asked: list[tuple[int, int]] = []
        self._read: dict[tuple[int, int], Read] = {}
        self._left = Counter(one.row for one in passes for _ in range(one.keep))

    def expect(self, index: int, k: int) -> int:
        """The number under which the k-th read of a pass will be taken."""
        self._asked.append((index, k))
        return len(self._asked) - 1

    def read(
        self, reader: Reader, states: Tensor, reads: Sequence[tuple[int, int]]
    ) -> list[Read]:
        """Read states (n, hidden) for (index of a state, number of a read), in order."""
        groups: dict[tuple[int, ...], list[int]] = {}
        for i, (_, what) in enumerate(reads):
            groups.setdefault(self.passes[self._asked[what][0]].rivals, []).append(i)
        given: dict[int, Read] = {}
        for rivals, members in groups.items():
            at = [reads[i][0] for i in members]
            if rivals:
                found = _rivals(reader, states, at, rivals)
            else:
                asked = (self._asked[reads[i][1]] for i in members)
                tokens = [self.passes[index].answer[k] for index, k in asked]
                found = _answers(reader, states, at, tokens)
            given |= zip(members, found, strict=True)
        return [given[i] for i in range(len(reads))]

    def take(self, reads: Sequence[tuple[int, int]], found: Sequence[Read]) -> int:
        """Keep what was read; how many rows that completes."""
        done = 0
        for (_, what), one in zip(reads, found, strict=True):
            self._read[self._asked[what]] = one
            row = self.passes[self._asked[what][0]].row
            self._left[row] -= 1
            done += self._left[row] == 0
        return done

    def values(self) -> list[Value]:
        """The value of every pass, once all is read."""
        return [self._value(i, one) for i, one in enumerate(self.passes)]

    def _value(self, index: int, one: Pass) -> Value:
        parts = [self._read[index, k] for k in range(one.keep)]
        if one.rivals:
            return Value(tuple(parts[0][0]))
        total = sum(numbers[0] for numbers, _ in parts)
        return Value((total,), all(likeliest for _, likeliest in parts))


def _rivals(
    reader: Reader, states: Tensor, at: Sequence[int], rivals: Sequence[int]
) -> Iterator[Read]:
    import torch

    tokens = torch.tensor(rivals, device=states.device)
    rows = reader.logits(states[torch.tensor(at, device=states.device)], tokens)
    return ((row, False) for row in rows.double().tolist())


def _answers(
    reader: Reader, states: Tensor, at: Sequence[int], tokens: Sequence[int]
) -> Iterator[Read]:
    """Log-probabilities of tokens among all; each state's head runs once."""
    import torch

    by_state: dict[int, list[int]] = {}
    for i, place in enumerate(at):
        by_state.setdefault(place, []).append(i)
    found: dict[int, Read] = {}
    places = list(by_state)
    for first in range(0, len(places), LOGIT_ROWS):
        some = places[first : first + LOGIT_ROWS]
        members = [(row, i) for row, place in enumerate(some) for i in by_state[place]]
        values, likely = _against_all(
            reader,
            states[torch.tensor(some, device=states.device)],
            [row for row, _ in members],
            [tokens[i] for _, i in members],
        )
        for (_, i), value, likeliest in zip(members, values, likely, strict=True):
            found[i] = ([value], likeliest)
    return (found[i] for i in range(len(at)))


def _against_all(
    reader: Reader, states: Tensor, rows: Sequence[int], tokens: Sequence[int]
) -> tuple[list[float], list[bool]]:
    """For each (row of states, token) its log-probability, and whether it is the likeliest.

    The vocabulary passes by in pieces: what is kept of each row is its largest logit and the
    sum of exponentials so far (as in Milakov and Gimelshein 2018, "Online normalizer").
    """
    import torch

    top = total = own = None
    for start, logits in reader.pieces(states, LOGIT_TOKENS):
        at = torch.tensor(rows, device=logits.device)
        wanted = torch.tensor(tokens, device=logits.device) - start
        here = (wanted >= 0) & (wanted < logits.shape[1])
        given = logits[at, wanted.clamp(0, logits.shape[1] - 1)]
        largest, piece = logits.amax(-1), logits.logsumexp(-1).double()
        if top is None or total is None or own is None:
            top, total, own = largest, piece, given
        else:
            top, total = torch.maximum(top, largest), torch.logaddexp(total, piece)
            own = torch.where(here, given, own)
    assert top is not None and total is not None and own is not None, "a vocabulary has tokens"
    likely = (own == top[at]).tolist()
    return (own.double() - total[at]).tolist(), likely
