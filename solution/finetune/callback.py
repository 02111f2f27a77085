"""The callback of a training: validation, best adapter, early stopping, checkpoints."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any, TextIO

from transformers import TrainerCallback

from solution.core import Progress, UserError, atomic_directory, log
from solution.finetune.checkpoints import (
    Evaluation,
    TrainingState,
    is_disk_full,
    prune,
    write_marker,
)
from solution.finetune.distributed import any_rank, barrier
from solution.finetune.recipe import Train
from solution.scoring import peak_memory_gib

MAX_NONFINITE_STEPS = 20


class TrainingCallback(TrainerCallback):  # type: ignore[misc]
    """Evaluates every `eval_steps`, keeps the best adapter and requests checkpoints.

    Args:
        train: The recipe's training arguments.
        folder: Folder of the checkpoints.
        state: State at the last checkpoint.
        evaluate: Returns (accuracy, loss) of the live model on the validation questions; None
            without any.
        screen: Stream for progress.
        stop_requested: Whether to save and stop after the current step.

    """

    def __init__(
        self,
        train: Train,
        folder: Path,
        state: TrainingState,
        evaluate: Callable[[], tuple[float, float]] | None,
        *,
        screen: TextIO,
        stop_requested: Callable[[], bool],
    ) -> None:
        self.train, self.folder, self.state = train, folder, state
        self._evaluate, self._screen, self._stop_requested = evaluate, screen, stop_requested
        self._progress: Progress | None = None
        self._began = time.monotonic() - state.seconds
        self._nonfinite_streak = 0
        self._note = ""

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start the progress at the step of the checkpoint."""
        done = state.global_step
        with redirect_stderr(self._screen):
            if done:
                log(f"Resuming from step {done} of {state.max_steps}.")
            self._progress = Progress("train", state.max_steps, "steps", done)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Show the step; raise UserError after many steps without a finite gradient."""
        if not logs or "loss" not in logs:
            return
        self._count_nonfinite(logs.get("grad_norm"), state.global_step)
        assert self._progress is not None
        skipped = self.state.skipped_steps
        with redirect_stderr(self._screen):
            self._progress.advance(
                1,
                f"loss {logs['loss']:.4f}, lr {logs['learning_rate']:.1e}, "
                f"{logs['tokens_per_second']:.0f} tokens/s, padding {logs['padding']:.1%}, "
                f"peak {_peak_memory_gib():.2f} GiB"
                f"{f', {skipped} skipped' if skipped else ''}{self._note}",
            )

    def on_step_end(
        self, args: Any, state: Any, control: Any, model: Any = None, **_: Any
    ) -> None:
        """Evaluate if due, then decide whether to stop and to save."""
        step, last = state.global_step, state.global_step >= state.max_steps
        if self._evaluate and (last or step % self.train.eval_steps == 0):
            self._validate(self._evaluate, step, model, state.is_world_process_zero)
        finished = last or self.state.evals_since_best >= self.train.patience
        if finished:
            self._update(finished=True)
        if finished or any_rank(self._stop_requested()):
            control.should_training_stop = True
        if control.should_training_stop or step % self.train.save_steps == 0:
            control.should_save = True

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Write the checkpoint's marker and delete old checkpoints."""
        self._update(
            seconds=time.monotonic() - self._began,
            peak_memory_gib=max(_peak_memory_gib(), self.state.peak_memory_gib),
        )
        checkpoint = self.folder / f"checkpoint-{state.global_step}"
        barrier()  # every rank has written its part
        if not state.is_world_process_zero or not checkpoint.is_dir():
            return
        try:
            write_marker(checkpoint, self.state)
        except OSError as error:
            shutil.rmtree(checkpoint)
            with redirect_stderr(self._screen):
                log(f"{checkpoint.name} could not be written ({error}); keeping the previous.")
        prune(self.folder, self.train.save_total_limit)

    def validation_metrics(self, step: int) -> dict[str, float]:
        """Return the metrics of the evaluation after this step; empty without one."""
        last = self.state.validation[-1:]
        if not last or last[0].step != step:
            return {}
        return {"validation_accuracy": last[0].accuracy, "validation_loss": last[0].loss}

    def _update(self, **changes: Any) -> None:
        self.state = self.state.model_copy(update=changes)

    def _validate(
        self, evaluate: Callable[[], tuple[float, float]], step: int, model: Any, writes: bool
    ) -> None:
        accuracy, loss = evaluate()
        result = Evaluation(step=step, accuracy=accuracy, loss=loss)
        self._update(validation=(*self.state.validation, result))
        if self.state.best == result and writes:
            self._save_best(step, model)
        self._note = f", validation {accuracy:.4f} (step {step})"
        with redirect_stderr(self._screen):
            log(f"step {step}: validation accuracy {accuracy:.4f}, loss {loss:.4f}")

    def _save_best(self, step: int, model: Any) -> None:
        try:
            with atomic_directory(self.folder / f"adapter-{step}") as folder:
                model.save_pretrained(folder)
        except Exception as error:
            if not is_disk_full(error):
                raise
            raise UserError(
                f"The best adapter so far (step {step}) could not be written: {error}. Free "
                "some space, then run the same command to resume from the last checkpoint."
            ) from error

    def _count_nonfinite(self, grad_norm: float | None, step: int) -> None:
        if grad_norm is None or math.isfinite(grad_norm):
            self._nonfinite_streak = 0
            return
        self._nonfinite_streak += 1
        self._update(skipped_steps=self.state.skipped_steps + 1)
        if self._nonfinite_streak >= MAX_NONFINITE_STEPS:
            raise UserError(
                f"step {step}: {MAX_NONFINITE_STEPS} gradients in a row were not finite, so "
                "nothing is learned. Lower train.learning_rate, or use a dtype with a wider "
                "range (bfloat16 or float32). The last checkpoint is kept."
            )


def _peak_memory_gib() -> float:
    import torch

    return peak_memory_gib("cuda" if torch.cuda.is_available() else "cpu")
