"""The training itself: Unsloth's model, TRL's SFTTrainer, our rows and our validation score."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from functools import partial
from pathlib import Path
from typing import Any

from solution.core import UserError, atomic_directory, atomic_write, log, write_json
from solution.exam import Prompt, Question
from solution.finetune.checkpoints import (
    CHECKPOINTS,
    FACTS,
    Course,
    newest_complete,
    read_course,
)
from solution.finetune.data import build_rows, effective_batch
from solution.finetune.datacard import lengths
from solution.finetune.material import Material
from solution.finetune.methods import attach, finish, load_model
from solution.finetune.packing import NOT_SUPERVISED
from solution.finetune.picture import training_picture
from solution.finetune.processes import first_process_first, is_main_process
from solution.finetune.quiet import quiet
from solution.finetune.recipe import Recipe
from solution.finetune.rowset import Rows, kept_rows
from solution.finetune.stopping import command_to_go_on, stopping
from solution.finetune.tokens import end_token, set_pad_token
from solution.models import load_tokenizer
from solution.scoring import Encoded, encode, score_model

VALIDATED = "validation_accuracy"


def train_adapter(
    recipe: Recipe,
    material: Material,
    prompt: Prompt,
    work: Path,
    *,
    max_length: int,
    dtype: str,
    shown: Mapping[str, Question] | None = None,
) -> None:
    """Tune the recipe's model and leave `work/adapter`, whole or not at all.

    Goes on from the newest whole checkpoint in `work`. Of several processes each takes its
    share of every step, and the first leaves the adapter. What the libraries print goes to
    `work/log.txt`; progress goes to stderr. Raises UserError where it cannot learn or runs out
    of memory.
    """
    place = work / CHECKPOINTS
    with (
        stopping() as asked_to_stop,
        quiet(work / "log.txt" if is_main_process() else Path(os.devnull)) as screen,
        library_environment(place / "compiled", work / "tensorboard"),
    ):
        import unsloth  # noqa: F401  (patches transformers, trl and peft, so it comes before them)

        from solution.finetune.callbacks import Watch
        from solution.finetune.trainer import make_trainer

        tokenizer = load_tokenizer(recipe.model)
        set_pad_token(tokenizer, end_token(tokenizer))
        build = partial(
            build_rows,
            recipe,
            material.train,
            prompt,
            tokenizer,
            max_length,
            wiki=material.wiki,
            shown=shown or {},
            instructions=material.instructions.rows,
        )
        held = encode(material.validation, prompt, tokenizer, max_length)
        with first_process_first(), redirect_stderr(screen):
            rows = kept_rows(place, build)
            checkpoint = newest_complete(place)
            say_if_plain(tokenizer, recipe)
        course = read_course(checkpoint) if checkpoint else Course()
        if not course.over:  # else killed between its last step and the adapter's place
            with enough_memory():
                model = load_model(recipe, max_length, dtype)
                model = attach(recipe, model, max_length, place)
                answers = [question.answer for question in material.validation]
                score = (
                    partial(validation_score, model, held, answers, recipe) if held else None
                )
                watch = Watch(
                    recipe.train, place, course, score, screen, asked_to_stop=asked_to_stop
                )
                trainer = make_trainer(
                    recipe,
                    model,
                    tokenizer,
                    rows,
                    watch=watch,
                    dtype=dtype,
                    budget=recipe.train.batch_size * max_length,
                )
                trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
            course = watch.course
    if not course.over:
        log(f"Stopped as asked, with a checkpoint. To go on: {command_to_go_on()}")
        raise SystemExit(0)
    if is_main_process():
        keep_best(recipe, rows, work)


def say_if_plain(tokenizer: Any, recipe: Recipe) -> None:
    """Say that a model without a chat template is asked in plain text."""
    if not getattr(tokenizer, "chat_template", None):
        log(
            f"{recipe.model.model} has no chat template: the prompt {recipe.prompt} is put as "
            "plain text. An instruction-tuned model has one, and mostly answers better."
        )


def validation_score(
    model: Any, held: Sequence[Encoded], answers: Sequence[int | None], recipe: Recipe
) -> tuple[float, float]:
    """Accuracy and mean negative log-probability of the right choice, by the offline scorer."""
    scored = score_model(model, held, recipe.train.evaluation_batch_tokens)
    right = [one.answer == answer for one, answer in zip(scored, answers, strict=True)]
    losses = [
        -one.log_likelihood[(answer or 1) - 1]
        for one, answer in zip(scored, answers, strict=True)
    ]
    return sum(right) / len(right), sum(losses) / len(losses)


def keep_best(recipe: Recipe, rows: Rows, work: Path) -> None:
    """Write `work/adapter`: that of the best step, or of the last where none was scored."""
    last = newest_complete(work / CHECKPOINTS)
    assert last is not None, "a training ends with a checkpoint"
    course = read_course(last)
    best = last.with_name(f"adapter-{course.best.step}") if course.best else last
    with atomic_directory(work / "adapter") as folder:
        finish(recipe, best, last, folder)
        write_json(folder / FACTS, facts(recipe, rows, course, last))
    write_steps(work, recipe.name, last)


def facts(recipe: Recipe, rows: Rows, course: Course, last: Path) -> dict[str, Any]:
    """How the training went: counts, cost and both histories."""
    from safetensors import safe_open

    state = json.loads((last / "trainer_state.json").read_text(encoding="utf-8"))
    steps = state["global_step"]
    seen = min(steps * effective_batch(recipe), len(rows.dataset))
    labels = rows.dataset.select(range(seen))["labels"]
    keys = ("step", "loss", "learning_rate")
    shapes = list[list[int]]()
    for path in last.glob("*model*.safetensors"):
        with safe_open(path, framework="numpy") as weights:
            shapes += [weights.get_slice(n).get_shape() for n in weights.keys()]  # noqa: SIM118
    return {
        "trainable_parameters": sum(math.prod(shape) for shape in shapes),
        "steps": steps,
        "steps_planned": state["max_steps"],
        "best_step": course.best.step if course.best else steps,
        "training_seconds": round(course.seconds, 1),
        "training_minutes": round(course.seconds / 60, 2),
        "peak_memory_gib": round(course.peak_memory / 2**30, 3),
        "questions_read": seen,
        "supervised_tokens": sum(token != NOT_SUPERVISED for row in labels for token in row),
        "truncated_rows": rows.truncated,
        "dropped": {f"{source}: {why}": n for (source, why), n in rows.dropped.items()},
        "lengths": lengths(rows.dataset["input_ids"]),
        "skipped_steps": course.skipped_steps,
        "validation": [found.model_dump() for found in course.validation],
        "loss": [{key: e[key] for key in keys} for e in state["log_history"] if "loss" in e],
    }


def write_steps(work: Path, name: str, last: Path) -> None:
    """Write steps.csv, one line a step with all its figures, and training.svg."""
    state = json.loads((last / "trainer_state.json").read_text(encoding="utf-8"))
    entries = [entry for entry in state["log_history"] if "loss" in entry]
    columns = list(dict.fromkeys(key for entry in entries for key in entry))
    columns.remove("step")
    table = work / "steps.csv"
    with atomic_write(table) as part, part.open("w", encoding="utf-8", newline="") as out:
        lines = csv.DictWriter(out, ["step", *columns])
        lines.writeheader()
        lines.writerows(entries)
    loss = [(entry["step"], entry["loss"]) for entry in entries]
    accuracy = [(e["step"], e[VALIDATED]) for e in entries if VALIDATED in e]
    with atomic_write(work / "training.svg") as part:
        part.write_text(training_picture(name, loss, accuracy), encoding="utf-8")


@contextmanager
def library_environment(generated: Path, board: Path) -> Iterator[None]:
    """No statistics are sent, code and TensorBoard's files go where told, and all is undone.

    Unsloth sets variables of other libraries on import, which are not for the scorer's process.
    """
    before = dict(os.environ)
    os.environ.setdefault("UNSLOTH_DISABLE_STATISTICS", "1")
    os.environ.setdefault("UNSLOTH_COMPILE_LOCATION", str(generated.resolve()))
    os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(board))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def enough_memory() -> Iterator[None]:
    """Turn want of memory into a message that says what to change."""
    import torch

    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise UserError(
            "Out of memory while training. Halve train.batch_size and double "
            "train.gradient_accumulation (the same step), set "
            "train.gradient_checkpointing=unsloth, or lower model.max_length."
        ) from error
