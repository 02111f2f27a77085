"""TRL's trainer, told what one step is: rows put into passes that hold no padding."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader
from trl import SFTTrainer

from solution.core import UserError, log
from solution.finetune.packing import (
    NOT_SUPERVISED,
    Row,
    by_length,
    fill,
    packed,
    padded,
    share,
    supervised_tokens,
)
from solution.scoring import packed_arguments, side_by_side

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor

SHOWN = 8


@dataclass(frozen=True)
class Steps:
    """The data by steps: item i holds the rows of step i that this process computes.

    `size` rows make a step, in every process together; the last may have fewer.
    """

    rows: Dataset
    size: int
    rank: int = 0
    processes: int = 1

    def __len__(self) -> int:
        return math.ceil(len(self.rows) / self.size)

    def __getitem__(self, step: int) -> dict[str, Any]:
        """The `rows` of this process, what the whole step learns, every process's `lengths`."""
        start = step * self.size
        chosen = self.rows.select(range(start, min(start + self.size, len(self.rows))))
        rows: list[Row] = list(chosen)
        lengths = [len(row["input_ids"]) for row in rows]
        shares = [share(lengths, rank, self.processes) for rank in range(self.processes)]
        # A process without a row of its own computes one that teaches nothing, or the others
        # would wait for it for ever.
        own = [rows[place] for place in shares[self.rank]] or [unlearnt(rows[0])]
        return {
            "rows": own,
            "supervised": sum(supervised_tokens(row) for row in rows),
            "lengths": [[lengths[place] for place in places] for places in shares],
        }


@dataclass
class Meter:
    """What the last step cost."""

    tokens: int = 0
    slots: int = 0
    """Token slots that were computed, padding among them."""
    rows: int = 0
    passes: int = 0
    seconds: float = 0.0
    norms: dict[str, float] = field(default_factory=dict)
    """The gradient's norm by the name of the module that its weights stand beside."""

    def figures(self) -> dict[str, Any]:
        """The figures as a log's entry names them."""
        seconds = max(self.seconds, 1e-9)
        return {
            "tokens": self.tokens,
            "padding": round(1 - self.tokens / max(self.slots, 1), 4),
            "tokens_per_second": round(self.tokens / seconds, 1),
            "rows_per_second": round(self.rows / seconds, 3),
            "passes": self.passes,
        } | {f"grad_norm/{name}": norm for name, norm in self.norms.items()}


class StepTrainer(SFTTrainer):  # type: ignore[misc]
    """A trainer whose unit of data is the step; TRL and Unsloth compute loss and gradients.

    Both run the head on supervised positions only. `budget` bounds the tokens of one pass;
    with `packing` rows lie side by side in it, else they are padded to the longest. `validated`
    gives what the validation questions said after a step, to be logged with it.
    """

    def __init__(
        self,
        *args: Any,
        steps: Steps,
        budget: int,
        packing: bool,
        validated: Callable[[int], dict[str, float]] = lambda _step: {},
        **others: Any,
    ) -> None:
        super().__init__(*args, **others)
        self.steps, self.budget, self.packing = steps, budget, packing
        self.meter, self.validated = Meter(), validated

    def get_train_dataloader(self) -> DataLoader[Any]:
        """The steps in their order; each process already takes its own share of every step."""
        return DataLoader(self.steps, batch_size=1, collate_fn=_only, shuffle=False)  # type: ignore[arg-type]

    def training_step(
        self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None
    ) -> Tensor:
        """Add up loss and gradients of a step's passes; the loss (), a mean over all tokens."""
        began = time.monotonic()
        rows, device = inputs["rows"], self.args.device
        lengths = [len(row["input_ids"]) for row in rows]
        way = fill if self.packing else by_length
        passes = way(lengths, self.budget)
        # TRL gathers its figures with every pass, so every process has to make as many.
        most = max(len(way(others, self.budget)) for others in inputs["lengths"])
        if len(passes) < most:
            rows = [*rows, unlearnt(min(rows, key=lambda row: len(row["input_ids"])))]
            passes = [[len(rows) - 1]] * (most - len(passes)) + passes
        count = torch.tensor(max(inputs["supervised"], 1), device=device)
        losses = []
        self.meter = Meter(tokens=sum(lengths), rows=len(rows), passes=len(passes))
        for number, places in enumerate(passes, start=1):
            some = [rows[place] for place in places]
            # Processes exchange their gradients once a step, with the last pass.
            alone = self.accelerator.no_sync(model) if number < len(passes) else nullcontext()
            with alone, self._laid_out(model, some) as given:
                self.meter.slots += given["input_ids"].numel()
                losses.append(super().training_step(model, given, count))
        self._refuse_nan(losses, [[rows[place] for place in places] for places in passes])
        self.meter.seconds = time.monotonic() - began
        return torch.stack(losses).sum()

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log a step with what it cost."""
        if "loss" in logs:
            logs = logs | self.meter.figures() | self.validated(self.state.global_step)
        super().log(logs, start_time)

    @contextmanager
    def _laid_out(self, model: Any, rows: list[Row]) -> Iterator[dict[str, Any]]:
        """The model's arguments for one pass, while its attention keeps the rows apart."""
        if not self.packing:
            yield padded(rows, self.processing_class.pad_token_id)
            return
        inner = self.accelerator.unwrap_model(model)
        lengths = [len(row["input_ids"]) for row in rows]
        with side_by_side(inner, lengths):
            yield packed(rows) | packed_arguments(inner, lengths)

    def _refuse_nan(self, losses: list[Tensor], passes: list[list[Row]]) -> None:
        for loss, rows in zip(torch.stack(losses).tolist(), passes, strict=True):
            if not math.isfinite(loss):
                ids = ", ".join(row["id"] for row in rows[:SHOWN])
                more = f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
                raise UserError(
                    f"step {self.state.global_step + 1}: the loss is {loss}, in the rows {ids}"
                    f"{more}. Look at these rows, or lower the learning rate (--set "
                    f"train.learning_rate={self.args.learning_rate / 4:g}), and run again."
                )

    def _clip_grad_norm(self, model: Any) -> Any:
        """Clip, note the norm of each group before it, and drop a gradient that is no number.

        In float16 the scaler drops it; elsewhere nobody would, and the weights were lost.
        """
        norm = super()._clip_grad_norm(model)
        total = float(norm)
        limit = self.args.max_grad_norm
        clipped = limit / (total + 1e-6) if total > limit else 1.0
        self.meter.norms = {name: n / clipped for name, n in group_norms(model).items()}
        if not math.isfinite(total) and self.accelerator.scaler is None:
            model.zero_grad()
        return norm

    def _save_checkpoint(self, *args: Any, **others: Any) -> None:
        """Save, or say that there was no room and go on: the last whole checkpoint stands."""
        try:
            super()._save_checkpoint(*args, **others)
        except Exception as error:
            if not is_want_of_room(error):
                raise
            name = f"checkpoint-{self.state.global_step}"
            shutil.rmtree(Path(self.args.output_dir) / name, ignore_errors=True)
            if self.control.should_training_stop:
                raise UserError(
                    f"The checkpoint of step {self.state.global_step} could not be written: "
                    f"{error}. Free some space and run the same command again: it goes on from "
                    "the last whole checkpoint."
                ) from error
            log(
                f"The checkpoint of step {self.state.global_step} could not be written "
                f"({error}); the one before it stays, and training goes on."
            )


def group_norms(model: Any) -> dict[str, float]:
    """The gradient's norm for each kind of module: of all q_proj, of all k_proj ..."""
    groups: dict[str, list[Tensor]] = {}
    for name, weight in model.named_parameters():
        if weight.grad is not None:
            groups.setdefault(_group(name), []).append(weight.grad)
    names = sorted(groups)
    norms = [torch.stack(torch._foreach_norm(groups[name])).norm() for name in names]
    return dict(zip(names, torch.stack(norms).tolist(), strict=True)) if names else {}


def unlearnt(row: Row) -> Row:
    """The row with nothing supervised."""
    return row | {"labels": [NOT_SUPERVISED] * len(row["labels"])}


def is_want_of_room(error: Exception) -> bool:
    """Whether a file could not be written for want of space; libraries say so in many ways."""
    text = str(error).lower()
    known = ("no space left", "file too large", "quota", "os error 27", "os error 28")
    wrote = "pytorchstreamwriter" in text or "inline_container" in text
    return wrote or any(sign in text for sign in known)


def _group(name: str) -> str:
    """`...layers.3.self_attn.q_proj.lora_A.default.weight` belongs to q_proj."""
    parts = [part for part in name.split(".") if part not in ("default", "weight", "bias")]
    known = ("lora_", "ia3_")
    kept = [part for part in parts if not part.startswith(known)]
    return kept[-1] if kept else name


def _only(batch: list[Any]) -> Any:
    return batch[0]
