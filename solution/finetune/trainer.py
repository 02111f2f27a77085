"""TRL's trainer with global batches and packing; import it after Unsloth, which patches TRL."""

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
from transformers import PrinterCallback
from trl import SFTConfig, SFTTrainer

from solution.core import UserError, log
from solution.finetune.callback import TrainingCallback
from solution.finetune.checkpoints import is_disk_full
from solution.finetune.distributed import rank_and_world_size
from solution.finetune.packed_attention import (
    packed_attention,
    packed_kwargs,
    packing_is_isolated,
)
from solution.finetune.packing import (
    GlobalBatches,
    Row,
    group_by_length,
    mask_all_labels,
    pack_best_fit,
    packed,
    padded,
)
from solution.finetune.recipe import Recipe

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor

MAX_LISTED = 8
PROBE_TOKENS = 64


@dataclass
class StepMetrics:
    """Cost and gradient norms of the last step."""

    tokens: int = 0
    computed_tokens: int = 0
    """Tokens including padding."""
    rows: int = 0
    micro_batches: int = 0
    seconds: float = 0.0
    norms: dict[str, float] = field(default_factory=dict)
    """Gradient norm before clipping, by module type."""

    def as_log(self) -> dict[str, Any]:
        """Return the metrics under the names of a log entry."""
        seconds = max(self.seconds, 1e-9)
        return {
            "tokens": self.tokens,
            "padding": round(1 - self.tokens / max(self.computed_tokens, 1), 4),
            "tokens_per_second": round(self.tokens / seconds, 1),
            "rows_per_second": round(self.rows / seconds, 3),
            "micro_batches": self.micro_batches,
            **{f"grad_norm/{name}": norm for name, norm in self.norms.items()},
        }


class BatchTrainer(SFTTrainer):  # type: ignore[misc]
    """A trainer whose unit of data is the optimizer step; TRL and Unsloth compute the loss.

    `budget` is the maximum number of tokens of a micro-batch; `packing` concatenates its rows,
    otherwise they are padded. `extra_metrics` returns more values to log after a step.
    """

    def __init__(
        self,
        *args: Any,
        batches: GlobalBatches,
        budget: int,
        packing: bool,
        extra_metrics: Callable[[int], dict[str, float]] = lambda _step: {},
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.batches, self.budget, self.packing = batches, budget, packing
        self.step_metrics, self.extra_metrics = StepMetrics(), extra_metrics

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Return the steps in order; they are already split across ranks."""
        return DataLoader(self.batches, batch_size=1, collate_fn=_only_item, shuffle=False)  # type: ignore[arg-type]

    def training_step(
        self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None
    ) -> Tensor:
        """Accumulate the gradients of a step's micro-batches; return the mean loss."""
        began = time.monotonic()
        micro_batches = self._micro_batches(inputs)
        count = torch.tensor(max(inputs["supervised"], 1), device=self.args.device)
        rows = inputs["rows"]
        tokens = sum(len(row["input_ids"]) for row in rows)
        self.step_metrics = StepMetrics(tokens, 0, len(rows), len(micro_batches))
        losses = []
        for number, some in enumerate(micro_batches, start=1):
            # Ranks exchange gradients once per step, with the last micro-batch.
            last = number == len(micro_batches)
            sync = nullcontext() if last else self.accelerator.no_sync(model)
            with sync, self._collate(model, some) as batch:
                self.step_metrics.computed_tokens += batch["input_ids"].numel()
                losses.append(super().training_step(model, batch, count))
        self._raise_on_nonfinite(losses, micro_batches)
        self.step_metrics.seconds = time.monotonic() - began
        return torch.stack(losses).sum()

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the step's metrics to a log entry."""
        if "loss" in logs:
            extra = self.extra_metrics(self.state.global_step)
            logs = logs | self.step_metrics.as_log() | extra
        super().log(logs, start_time)

    def _micro_batches(self, inputs: dict[str, Any]) -> list[list[Row]]:
        rows, group = inputs["rows"], pack_best_fit if self.packing else group_by_length
        groups = group([len(row["input_ids"]) for row in rows], self.budget)
        # TRL gathers metrics in every micro-batch, so each rank needs the same number of them.
        most = max(len(group(lengths, self.budget)) for lengths in inputs["lengths"])
        filler = mask_all_labels(min(rows, key=lambda row: len(row["input_ids"])))
        missing = [[filler]] * (most - len(groups))
        return missing + [[rows[index] for index in indices] for indices in groups]

    @contextmanager
    def _collate(self, model: Any, rows: list[Row]) -> Iterator[dict[str, Any]]:
        """Yield the model's inputs, while its attention isolates packed rows."""
        if not self.packing:
            yield padded(rows, self.processing_class.pad_token_id)
            return
        unwrapped = self.accelerator.unwrap_model(model)
        lengths = [len(row["input_ids"]) for row in rows]
        with packed_attention(unwrapped, lengths):
            yield packed(rows) | packed_kwargs(unwrapped, lengths)

    def _raise_on_nonfinite(self, losses: list[Tensor], micro_batches: list[list[Row]]) -> None:
        for loss, rows in zip(torch.stack(losses).tolist(), micro_batches, strict=True):
            if not math.isfinite(loss):
                ids = ", ".join(row["id"] for row in rows[:MAX_LISTED])
                more = f" and {len(rows) - MAX_LISTED} more" if len(rows) > MAX_LISTED else ""
                raise UserError(
                    f"step {self.state.global_step + 1}: the loss is {loss}, in the rows {ids}"
                    f"{more}. Check these rows, or lower the learning rate (--set "
                    f"train.learning_rate={self.args.learning_rate / 4:g}), and run again."
                )

    def _clip_grad_norm(self, model: Any) -> Any:
        """Clip gradients and record pre-clip norms per module type.

        Discards a non-finite gradient; otherwise it would destroy the weights. In float16 the
        scaler does that.
        """
        scaler = self.accelerator.scaler
        scale = scaler.get_scale() if scaler is not None else 1.0
        self.step_metrics.norms = {n: v / scale for n, v in gradient_norms(model).items()}
        norm = super()._clip_grad_norm(model)
        if not math.isfinite(float(norm)) and scaler is None:
            model.zero_grad()
        return norm

    def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        """Save; with a full disk keep the previous checkpoint and continue."""
        try:
            super()._save_checkpoint(*args, **kwargs)
        except Exception as error:
            if not is_disk_full(error):
                raise
            name = f"checkpoint-{self.state.global_step}"
            shutil.rmtree(Path(self.args.output_dir) / name, ignore_errors=True)
            message = f"{name} could not be written ({error})"
            if self.control.should_training_stop:
                raise UserError(
                    f"{message}. Free some space, then run the same command to resume from the "
                    "last checkpoint."
                ) from error
            log(f"{message}; training continues, the previous checkpoint is kept.")


def make_trainer(
    recipe: Recipe,
    model: Any,
    tokenizer: Any,
    dataset: Dataset,
    *,
    callback: TrainingCallback,
    dtype: str,
    budget: int,
) -> BatchTrainer:
    """Create the trainer of a recipe; it does not shuffle, truncate or pack by itself."""
    train = recipe.train
    batches = GlobalBatches(dataset, recipe.rows_per_step, *rank_and_world_size())
    arguments = SFTConfig(
        output_dir=str(callback.folder),
        num_train_epochs=1,  # the dataset has the rows of all epochs
        dataset_kwargs={"skip_prepare_dataset": True},
        packing=False,
        padding_free=False,
        max_length=None,
        router_aux_loss_coef=0.0,  # adapters leave routers unchanged
        per_device_train_batch_size=1,  # one step, which the trainer splits
        gradient_accumulation_steps=1,
        learning_rate=train.learning_rate,
        lr_scheduler_type=train.lr_scheduler_type,
        warmup_steps=math.ceil(train.warmup_ratio * len(batches)),
        weight_decay=train.weight_decay,
        optim=train.optim,
        gradient_checkpointing=bool(train.gradient_checkpointing),
        fp16=dtype == "float16",
        bf16=dtype == "bfloat16",
        seed=recipe.data.seed,
        save_strategy="no",  # the callback requests checkpoints and writes their markers
        eval_strategy="no",
        logging_steps=1,
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        report_to=recipe.report_to,
        run_name=recipe.name,
    )
    trainer = BatchTrainer(
        model=model,
        processing_class=tokenizer,
        args=arguments,
        train_dataset=dataset,
        callbacks=[callback],
        batches=batches,
        budget=budget,
        packing=train.packing and _can_pack(model, dataset),
        extra_metrics=callback.validation_metrics,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def gradient_norms(model: Any) -> dict[str, float]:
    """Return the gradient norm of each module type: of all q_proj, of all k_proj, ..."""
    groups: dict[str, list[Tensor]] = {}
    for name, weight in model.named_parameters():
        if weight.grad is not None:
            groups.setdefault(_module_type(name), []).append(weight.grad)
    names = sorted(groups)
    norms = [torch.stack(torch._foreach_norm(groups[name])).norm() for name in names]
    return dict(zip(names, torch.stack(norms).tolist(), strict=True)) if names else {}


def _module_type(name: str) -> str:
    """Return q_proj for `...layers.3.self_attn.q_proj.lora_A.default.weight`."""
    parts = [part for part in name.split(".") if part not in ("default", "weight", "bias")]
    kept = [part for part in parts if not part.startswith(("lora_", "ia3_"))]
    return kept[-1] if kept else name


def _can_pack(model: Any, dataset: Dataset) -> bool:
    first, second = (dataset[i % len(dataset)]["input_ids"][-PROBE_TOKENS:] for i in (0, 1))
    if packing_is_isolated(model, first, second):
        return True
    log("Packing disabled: this model mixes packed rows; they are padded instead.")
    return False


def _only_item(batch: list[Any]) -> Any:
    return batch[0]
