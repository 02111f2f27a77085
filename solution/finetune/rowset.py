"""The finished training rows: in order, checked, and kept so that they are encoded once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from solution.core import UserError, atomic_directory, write_json
from solution.finetune.packing import Row, supervised_tokens

if TYPE_CHECKING:
    from datasets import Dataset

SHOWN = 5


@dataclass(frozen=True)
class Rows:
    """What the trainer reads, in the order it reads it, and what was counted on the way."""

    dataset: Dataset
    truncated: int
    """Training questions that lost passage text to fit (in any epoch)."""
    dropped: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Instructions that were left out for their length, by (source, reason)."""


def ordered(rows: list[Row], size: int) -> Dataset:
    """The rows with those of one step in order of length: less padding, the same step.

    Raises UserError where rows teach nothing.
    """
    from datasets import Dataset, Features, List, Value

    empty = [row["id"] for row in rows if not supervised_tokens(row)]
    if empty:
        raise UserError(
            f"{len(empty)} training rows have no token to learn: {', '.join(empty[:SHOWN])}. "
            "Take these rows out of the training data."
        )
    starts = range(0, len(rows), size)
    placed = [
        row
        for start in starts
        for row in sorted(rows[start : start + size], key=lambda row: len(row["input_ids"]))
    ]
    kinds = {"id": Value("string"), "input_ids": List(Value("int32"))}
    features = Features(kinds | {"labels": List(Value("int32"))})
    return Dataset.from_dict({k: [row[k] for row in placed] for k in features}, features)


def kept_rows(place: Path, build: Callable[[], Rows]) -> Rows:
    """The rows that a run has already encoded in `place`, else those that `build` encodes."""
    from datasets import disable_progress_bars, load_from_disk

    folder = place / "rows"
    if not folder.is_dir():
        rows = build()
        disable_progress_bars()  # it is written in a moment
        with atomic_directory(folder) as work:
            rows.dataset.save_to_disk(work)
            dropped = [[*key, count] for key, count in rows.dropped.items()]
            write_json(work / "counts.json", {"truncated": rows.truncated, "dropped": dropped})
    counts = json.loads((folder / "counts.json").read_text(encoding="utf-8"))
    left_out = Counter({(source, reason): n for source, reason, n in counts["dropped"]})
    return Rows(load_from_disk(folder), counts["truncated"], left_out)
