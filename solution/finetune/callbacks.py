"""What happens between the steps: scoring, best adapter, early stop, checkpoints."""

from __future__ import annotations

import math
import resource
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any, TextIO

from transformers import TrainerCallback

from solution.core import Progress, UserError, atomic_directory, log
from solution.finetune.checkpoints import Course, Validation, mark_complete, prune
from solution.finetune.recipe import Train
from solution.finetune.stepping import is_want_of_room

LOST_STEPS = 20


class Watch(TrainerCallback):  # type: ignore[misc]
    """Scores the validation questions every so many steps and keeps what a resumption needs.

    `asked_to_stop` is looked at after each step: whether to save and end before the plan's end.
    `score` gives (accuracy, loss) of the live model on the validation questions; None where
    none are held out. `course` is what was known at the last checkpoint and is carried on.
    """

    def __init__(
        self,
        train: Train,
        place: Path,
        course: Course,
        score: Callable[[], tuple[float, float]] | None,
        screen: TextIO,
        *,
        asked_to_stop: Callable[[], bool],
    ) -> None:
        self.train, self.place, self.course = train, place, course
        self.asked_to_stop = asked_to_stop
        self._score, self._screen = score, screen
        self._progress: Progress | None = None
        self._began = time.monotonic() - course.seconds
        self._lost = 0
        self._said = ""

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Begin the progress line at the step where a checkpoint left off."""
        done = state.global_step
        with redirect_stderr(self._screen):
            if done:
                log(f"Going on from step {done} of {state.max_steps}.")
            self._progress = Progress("train", state.max_steps - done, "steps")

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Show the step. Raises UserError where many steps in a row had no finite gradient."""
        if not logs or "loss" not in logs:
            return
        loss, rate = logs["loss"], logs["learning_rate"]
        self._count_lost(logs.get("grad_norm"), state.global_step)
        assert self._progress is not None
        with redirect_stderr(self._screen):
            self._progress.advance(1, f"loss {loss:.4f}, lr {rate:.1e}{self._cost(logs)}")

    def on_step_end(
        self, args: Any, state: Any, control: Any, model: Any = None, **_: Any
    ) -> None:
        """Score where it is due, keep the best adapter, ask for a checkpoint, or stop."""
        step, last = state.global_step, state.global_step >= state.max_steps
        if self._score and (last or step % self.train.evaluate_every == 0):
            self._evaluate(step, model, state.is_world_process_zero)
        over = last or self.course.waited >= self.train.patience
        if over:
            self.course = self.course.model_copy(update={"over": True})
        if over or self.asked_to_stop():
            control.should_training_stop = True
        if control.should_training_stop or step % self.train.save_every == 0:
            control.should_save = True

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Mark the checkpoint as whole, then drop the ones before it."""
        cost = {
            "seconds": time.monotonic() - self._began,
            "peak_memory": max(peak_memory(), self.course.peak_memory),
        }
        self.course = self.course.model_copy(update=cost)
        folder = self.place / f"checkpoint-{state.global_step}"
        together()  # every process has written its part
        if not state.is_world_process_zero or not folder.is_dir():
            return
        try:
            mark_complete(folder, self.course)
        except OSError as error:
            shutil.rmtree(folder)
            with redirect_stderr(self._screen):
                log(f"{folder.name} could not be finished ({error}); the one before it stays.")
        prune(self.place)

    def validated(self, step: int) -> dict[str, float]:
        """What the scoring after this step said, as a log names it; empty without one."""
        found = self.course.validation[-1:]
        if not found or found[0].step != step:
            return {}
        return {"validation_accuracy": found[0].accuracy, "validation_loss": found[0].loss}

    def _cost(self, logs: dict[str, Any]) -> str:
        """What the progress line says behind loss and learning rate."""
        skipped = self.course.skipped_steps
        return (
            f", {logs['tokens_per_second']:.0f} tokens/s, padding {logs['padding']:.1%}, "
            f"peak {peak_memory() / 2**30:.2f} GiB"
            f"{f', {skipped} skipped' if skipped else ''}{self._said}"
        )

    def _evaluate(self, step: int, model: Any, writes: bool) -> None:
        assert self._score is not None
        accuracy, loss = self._score()
        found = Validation(step=step, accuracy=accuracy, loss=loss)
        history = (*self.course.validation, found)
        self.course = self.course.model_copy(update={"validation": history})
        if self.course.best == found and writes:
            self._keep(step, model)
        self._said = f", validation {accuracy:.4f} (step {step})"
        with redirect_stderr(self._screen):
            log(f"step {step}: validation accuracy {accuracy:.4f}, loss {loss:.4f}")

    def _keep(self, step: int, model: Any) -> None:
        try:
            with atomic_directory(self.place / f"adapter-{step}") as folder:
                model.save_pretrained(folder)
        except Exception as error:
            if not is_want_of_room(error):
                raise
            raise UserError(
                f"The best adapter so far (step {step}) could not be written: {error}. Free "
                "some space and run the same command again: it goes on from the last one."
            ) from error

    def _count_lost(self, gradient: float | None, step: int) -> None:
        if gradient is None or math.isfinite(gradient):
            self._lost = 0
            return
        self._lost += 1
        skipped = self.course.skipped_steps + 1
        self.course = self.course.model_copy(update={"skipped_steps": skipped})
        if self._lost >= LOST_STEPS:
            raise UserError(
                f"step {step}: the gradient overflowed {LOST_STEPS} times in a row, so nothing "
                "is learnt. Lower train.learning_rate, or take a dtype of more range. The last "
                "whole checkpoint is kept."
            )


def together() -> None:
    """Wait until every process of a training by several has come here."""
    import torch.distributed as processes

    if processes.is_available() and processes.is_initialized():
        processes.barrier()


def peak_memory() -> int:
    """Bytes: of the card where there is one, else of this process."""
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
