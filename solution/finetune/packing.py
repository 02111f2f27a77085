"""Rows of one step as a few forward passes: side by side without padding, or padded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

NOT_SUPERVISED = -100
# One row of the training data: its `id`, `input_ids` and `labels`.
Row = dict[str, Any]


def fill(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Put rows into passes of at most `budget` tokens, few and full; a longer row stands alone.

    Best fit, longest first: the packing of Krell et al. 2021 (arXiv 2107.02027), without its
    histogram, because a step has few rows. Gives the rows' places, in order within a pass.
    """
    passes: list[list[int]] = []
    left: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        fitting = [(room, i) for i, room in enumerate(left) if room >= lengths[place]]
        if fitting:
            _, chosen = min(fitting)
        else:
            chosen = len(passes)
            passes.append([])
            left.append(budget)
        passes[chosen].append(place)
        left[chosen] -= lengths[place]
    return [sorted(one) for one in passes]


def by_length(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Put rows of like length into passes whose padded rectangle holds at most `budget`."""
    passes: list[list[int]] = []
    for place in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if passes and lengths[passes[-1][0]] * (len(passes[-1]) + 1) <= budget:
            passes[-1].append(place)
        else:
            passes.append([place])
    return [sorted(one) for one in passes]


def share(lengths: Sequence[int], rank: int, processes: int) -> list[int]:
    """The places of the rows that one process computes: about as many tokens as the others."""
    loads = [0] * processes
    mine = []
    for place in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        least = loads.index(min(loads))
        loads[least] += lengths[place]
        if least == rank:
            mine.append(place)
    return sorted(mine)


def supervised_tokens(row: Row) -> int:
    """How many tokens of a row are learnt; the first has none before it to be learnt from."""
    return sum(label != NOT_SUPERVISED for label in row["labels"][1:])


def packed(rows: Sequence[Row]) -> dict[str, Tensor]:
    """Rows side by side: `input_ids`, `labels` and `position_ids`, each (1, tokens).

    Positions begin anew in each row, and no row's first token is learnt from the row before.
    """
    import torch

    ids = [token for row in rows for token in row["input_ids"]]
    labels = [label for row in rows for label in [NOT_SUPERVISED, *row["labels"][1:]]]
    positions = [place for row in rows for place in range(len(row["input_ids"]))]
    return {
        "input_ids": torch.tensor([ids]),
        "labels": torch.tensor([labels]),
        "position_ids": torch.tensor([positions]),
    }


def padded(rows: Sequence[Row], pad: int) -> dict[str, Tensor]:
    """Rows one below the other, padded on the right: each (rows, longest), with their mask."""
    import torch

    longest = max(len(row["input_ids"]) for row in rows)

    def whole(name: str, filler: int) -> Tensor:
        return torch.tensor([[*r[name], *[filler] * (longest - len(r[name]))] for r in rows])

    lengths = torch.tensor([[len(row["input_ids"])] for row in rows])
    return {
        "input_ids": whole("input_ids", pad),
        "labels": whole("labels", NOT_SUPERVISED),
        "attention_mask": (torch.arange(longest)[None] < lengths).long(),
    }
