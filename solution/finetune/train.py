"""The training of one adapter: Unsloth's model, TRL's trainer, our rows and our scorer."""

from __future__ import annotations

import csv
import json
import math
import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from solution.core import UserError, atomic_directory, atomic_write, log, write_json
from solution.exam import Prompt, Question
from solution.finetune.checkpoints import (
    CHECKPOINTS,
    TRAINING_FACTS,
    TrainingState,
    latest_valid_checkpoint,
    read_state,
)
from solution.finetune.data import FinetuneData
from solution.finetune.distributed import is_main_process, main_process_first
from solution.finetune.log_redirect import redirect_output
from solution.finetune.packing import IGNORE_INDEX
from solution.finetune.peft_model import add_adapter, export_adapter, load_base_model
from solution.finetune.plot import plot_training
from solution.finetune.recipe import Recipe
from solution.finetune.tokenize import (
    TokenizedDataset,
    end_token,
    load_or_build,
    set_pad_token,
    tokenize_examples,
)
from solution.finetune.worker_process import stop_requests
from solution.models import chat_template, load_tokenizer
from solution.scoring import Encoded, encode, score_model

if TYPE_CHECKING:
    from solution.finetune.callback import TrainingCallback


def train_in_process(work: Path, store_prefix: int, options: dict[str, Any]) -> None:
    """Call `train_adapter` in a process of its own, whose environment it may change."""
    os.environ.setdefault("UNSLOTH_DISABLE_STATISTICS", "1")
    compiled = work / CHECKPOINTS / "compiled"
    os.environ.setdefault("UNSLOTH_COMPILE_LOCATION", str(compiled.resolve()))
    os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(work / "tensorboard"))
    if "TORCHELASTIC_RESTART_COUNT" in os.environ:
        # Prefix of the keys in the launcher's store, which several trainings of a run share.
        os.environ["TORCHELASTIC_RESTART_COUNT"] = str(store_prefix)
    train_adapter(work, **options)


def train_adapter(
    work: Path,
    recipe: Recipe,
    data: FinetuneData,
    prompt: Prompt,
    *,
    max_length: int,
    dtype: str,
    with_passages: Mapping[str, Question] | None = None,
) -> None:
    """Train and write `work/adapter`, complete or not at all.

    Resumes from the newest complete checkpoint in `work`. The output of libraries goes to
    `work/log.txt`, progress to stderr. Exits with status 0 after SIGTERM, with a checkpoint.

    Raises UserError: training is impossible, diverges or runs out of memory.
    """
    folder = work / CHECKPOINTS
    log_file = work / "log.txt" if is_main_process() else Path(os.devnull)
    with stop_requests() as stop_requested, redirect_output(log_file) as screen:
        import unsloth  # noqa: F401  (patches transformers, trl and peft, so it comes first)

        from solution.finetune.callback import TrainingCallback

        tokenizer = load_tokenizer(recipe.model)
        set_pad_token(tokenizer, end_token(tokenizer))
        build = partial(
            tokenize_examples,
            recipe,
            data,
            prompt,
            tokenizer,
            max_length,
            with_passages=with_passages,
        )
        with main_process_first(), redirect_stderr(screen):
            rows = load_or_build(folder, build)
            checkpoint = latest_valid_checkpoint(folder)
            _note_missing_template(tokenizer, recipe)
        state = read_state(checkpoint) if checkpoint else TrainingState()
        if not state.finished:  # otherwise killed after the last step
            with explain_out_of_memory():
                model = load_base_model(recipe, max_length, dtype)
                model = add_adapter(recipe, model, max_length)
                validation = encode(
                    data.validation,
                    prompt,
                    chat_template(tokenizer, recipe.model),
                    max_length,
                )
                evaluate = partial(validate, model, validation, data.validation, recipe)
                callback = TrainingCallback(
                    recipe.train,
                    folder,
                    state,
                    evaluate if data.validation else None,
                    screen=screen,
                    stop_requested=stop_requested,
                )
                budget = recipe.train.batch_size * max_length
                _fit(
                    recipe,
                    model,
                    tokenizer,
                    rows,
                    callback=callback,
                    dtype=dtype,
                    budget=budget,
                )
            state = callback.state
    if not state.finished:
        command = shlex.join(["./run.sh", *sys.argv[1:]])
        log(f"Stopped on request; checkpoint saved. Resume with: {command}")
        raise SystemExit(0)
    if is_main_process():
        write_adapter(recipe, rows, work)


def _fit(
    recipe: Recipe,
    model: Any,
    tokenizer: Any,
    rows: TokenizedDataset,
    *,
    callback: TrainingCallback,
    **options: Any,
) -> None:
    from solution.finetune.trainer import make_trainer

    trainer = make_trainer(recipe, model, tokenizer, rows.dataset, callback=callback, **options)
    checkpoint = latest_valid_checkpoint(callback.folder)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)


def validate(
    model: Any, encoded: Sequence[Encoded], questions: Sequence[Question], recipe: Recipe
) -> tuple[float, float]:
    """Return accuracy and mean negative log-probability of the correct choice."""
    scored = score_model(model, encoded, recipe.train.eval_batch_tokens)
    pairs = list(zip(scored, questions, strict=True))
    correct = sum(one.answer == question.answer for one, question in pairs)
    losses = [-one.log_likelihood[(question.answer or 1) - 1] for one, question in pairs]
    return correct / len(pairs), sum(losses) / len(pairs)


def write_adapter(recipe: Recipe, rows: TokenizedDataset, work: Path) -> None:
    """Write the adapter of the best step (the last one without validation) and the figures."""
    last = latest_valid_checkpoint(work / CHECKPOINTS)
    assert last is not None, "a training ends with a checkpoint"
    state = read_state(last)
    best = last.with_name(f"adapter-{state.best.step}") if state.best else last
    trainer_state = json.loads((last / "trainer_state.json").read_text(encoding="utf-8"))
    with atomic_directory(work / "adapter") as folder:
        export_adapter(recipe, best, last, folder)
        facts = _training_facts(recipe, rows, state, trainer_state)
        facts["trainable_parameters"] = _count_parameters(last)
        write_json(folder / TRAINING_FACTS, facts)
    _write_steps(work, recipe.name, trainer_state["log_history"])


@contextmanager
def explain_out_of_memory() -> Iterator[None]:
    """Turn an out-of-memory error into a UserError that names the keys to change."""
    import torch

    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise UserError(
            "Out of memory while training. Halve train.batch_size and double "
            "train.gradient_accumulation_steps (the same step), set "
            "train.gradient_checkpointing=unsloth, or lower model.max_length."
        ) from error


def _note_missing_template(tokenizer: Any, recipe: Recipe) -> None:
    if not getattr(tokenizer, "chat_template", None):
        log(
            f"{recipe.model.model} has no chat template: the prompt {recipe.prompt} is used as "
            "plain text. An instruction-tuned model has one and mostly scores higher."
        )


def _training_facts(
    recipe: Recipe, rows: TokenizedDataset, state: TrainingState, trainer_state: dict[str, Any]
) -> dict[str, Any]:
    steps = trainer_state["global_step"]
    seen = min(steps * recipe.rows_per_step, len(rows.dataset))
    labels = rows.dataset.select(range(seen))["labels"]
    keys = ("step", "loss", "learning_rate")
    history = [entry for entry in trainer_state["log_history"] if "loss" in entry]
    return {
        "steps": steps,
        "steps_planned": trainer_state["max_steps"],
        "best_step": state.best.step if state.best else steps,
        "training_seconds": round(state.seconds, 1),
        "training_minutes": round(state.seconds / 60, 2),
        "peak_memory_gib": round(state.peak_memory_gib, 3),
        "questions_read": seen,
        "supervised_tokens": sum(token != IGNORE_INDEX for row in labels for token in row),
        "truncated_rows": rows.truncated,
        "dropped": {f"{source}: {reason}": n for (source, reason), n in rows.dropped.items()},
        "lengths": length_statistics([len(row) for row in rows.dataset["input_ids"]]),
        "skipped_steps": state.skipped_steps,
        "validation": [evaluation.model_dump() for evaluation in state.validation],
        "loss": [{key: entry[key] for key in keys} for entry in history],
    }


def length_statistics(lengths: Sequence[int]) -> dict[str, float]:
    """Return minimum, median, mean, 95th percentile and maximum; empty without rows."""
    ordered = sorted(lengths)
    if not ordered:
        return {}
    return {
        "shortest": ordered[0],
        "median": ordered[len(ordered) // 2],
        "mean": round(sum(ordered) / len(ordered), 1),
        "p95": ordered[int(0.95 * (len(ordered) - 1))],
        "longest": ordered[-1],
    }


def _count_parameters(checkpoint: Path) -> int:
    from safetensors import safe_open

    count = 0
    for path in checkpoint.glob("*model*.safetensors"):
        with safe_open(path, framework="numpy") as weights:
            names = list(weights.keys())
            count += sum(math.prod(weights.get_slice(name).get_shape()) for name in names)
    return count


def _write_steps(work: Path, name: str, history: list[dict[str, Any]]) -> None:
    """Write steps.csv with the metrics of every step, and training.svg."""
    entries = [entry for entry in history if "loss" in entry]
    columns = list(dict.fromkeys(key for entry in entries for key in entry))
    columns = ["step", *(key for key in columns if key != "step")]
    with (
        atomic_write(work / "steps.csv") as part,
        part.open("w", encoding="utf-8", newline="") as stream,
    ):
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        writer.writerows(entries)
    loss = [(entry["step"], entry["loss"]) for entry in entries]
    key = "validation_accuracy"
    accuracy = [(entry["step"], entry[key]) for entry in entries if key in entry]
    with atomic_write(work / "training.svg") as part:
        plot_training(part, name, loss, accuracy)
