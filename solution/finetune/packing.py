"""Micro-batches of one step: concatenated rows without padding, or padded rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor

IGNORE_INDEX = -100
# A training row: `id`, `input_ids` and `labels`.
Row = dict[str, Any]


def pack_best_fit(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Pack rows into few micro-batches of at most `budget` tokens, by best-fit decreasing.

    As Krell et al. 2021 (arXiv 2107.02027). A longer row gets a micro-batch of its own. Returns
    the indices of each micro-batch, sorted.
    """
    packs: list[list[int]] = []
    free: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        fitting = [(room, i) for i, room in enumerate(free) if room >= lengths[index]]
        if fitting:
            _, chosen = min(fitting)
        else:
            chosen = len(packs)
            packs.append([])
            free.append(budget)
        packs[chosen].append(index)
        free[chosen] -= lengths[index]
    return [sorted(pack) for pack in packs]


def group_by_length(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Group rows of similar length into padded micro-batches of at most `budget` tokens."""
    groups: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if groups and lengths[groups[-1][0]] * (len(groups[-1]) + 1) <= budget:
            groups[-1].append(index)
        else:
            groups.append([index])
    return [sorted(group) for group in groups]


def split_across_ranks(lengths: Sequence[int], world_size: int) -> list[list[int]]:
    """Split rows into `world_size` shares of about the same number of tokens."""
    loads = [0] * world_size
    shares: list[list[int]] = [[] for _ in range(world_size)]
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        rank = loads.index(min(loads))
        loads[rank] += lengths[index]
        shares[rank].append(index)
    return [sorted(share) for share in shares]


def supervised_tokens(row: Row) -> int:
    """Count the labels of a row; the first token has no logits before it."""
    return sum(label != IGNORE_INDEX for label in row["labels"][1:])


def mask_all_labels(row: Row) -> Row:
    """Return the row without any label."""
    return row | {"labels": [IGNORE_INDEX] * len(row["labels"])}


@dataclass(frozen=True)
class GlobalBatches:
    """The dataset by optimizer steps: item i has the rows of step i for this rank.

    `size` rows make a step, over all ranks; the last step may have fewer.
    """

    rows: Dataset
    size: int
    rank: int = 0
    world_size: int = 1

    def __len__(self) -> int:
        return math.ceil(len(self.rows) / self.size)

    def __getitem__(self, step: int) -> dict[str, Any]:
        """Return this rank's `rows`, the step's `supervised` tokens, all ranks' `lengths`."""
        start = step * self.size
        stop = min(start + self.size, len(self.rows))
        rows: list[Row] = list(self.rows.select(range(start, stop)))
        lengths = [len(row["input_ids"]) for row in rows]
        shares = split_across_ranks(lengths, self.world_size)
        # A rank without rows computes a masked one, or the other ranks would wait for ever.
        own = [rows[index] for index in shares[self.rank]] or [mask_all_labels(rows[0])]
        return {
            "rows": own,
            "supervised": sum(supervised_tokens(row) for row in rows),
            "lengths": [[lengths[index] for index in share] for share in shares],
        }


def packed(rows: Sequence[Row]) -> dict[str, Tensor]:
    """Concatenate rows: `input_ids`, `labels` and `position_ids`, each (1, tokens).

    Positions restart in each row; the first label of a row is masked, because the logits before
    it belong to another row.
    """
    import torch

    ids = [token for row in rows for token in row["input_ids"]]
    labels = [label for row in rows for label in [IGNORE_INDEX, *row["labels"][1:]]]
    positions = [position for row in rows for position in range(len(row["input_ids"]))]
    return {
        "input_ids": torch.tensor([ids]),
        "labels": torch.tensor([labels]),
        "position_ids": torch.tensor([positions]),
    }


def padded(rows: Sequence[Row], pad: int) -> dict[str, Tensor]:
    """Pad rows on the right: `input_ids`, `labels`, `attention_mask`, each (rows, longest)."""
    import torch

    longest = max(len(row["input_ids"]) for row in rows)

    def fill(key: str, value: int) -> Tensor:
        return torch.tensor([[*r[key], *[value] * (longest - len(r[key]))] for r in rows])

    lengths = torch.tensor([[len(row["input_ids"])] for row in rows])
    return {
        "input_ids": fill("input_ids", pad),
        "labels": fill("labels", IGNORE_INDEX),
        "attention_mask": (torch.arange(longest)[None] < lengths).long(),
    }
