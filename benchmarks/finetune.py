"""Times this project's training, TRL's SFTTrainer with PEFT, and Unsloth's notebook settings.

    python benchmarks/finetune.py --data FOLDER --tokenizer FOLDER [--steps 2] [--runs 3]

FOLDER of --data holds the contest's train.csv. One run on the CPU with one thread: the same
random weights (Qwen2 geometry, the tokenizer's vocabulary), the same adapter (r 16 on all seven
linear modules), the same rows in the same order, steps of 8 rows. The three take turns; the
median counts. Seconds are the process's own (CPU) seconds: other work on the machine does not
count.

plain TRL: SFTTrainer's defaults: batches of 8 padded to their longest, recomputation of
activations (gradient_checkpointing, on by default). TRL 1.15's fused head needs Triton; without
a GPU Unsloth's replacement of that one function is used here, too.
Unsloth's notebook: batches of 2, 4 a step, gradient checkpointing "unsloth", no packing.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from solution.exam import Question, load_prompt, read_exam
from solution.models import ChatTemplate

ROWS_PER_STEP = 8
HELD_ROWS = 32
MAX_LENGTH = 2048
LORA = {"r": 16, "lora_alpha": 16, "lora_dropout": 0.0}
MODULES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


class Run(NamedTuple):
    """One training: CPU seconds, its last loss, and the share of held rows it gets right."""

    seconds: float
    loss: float
    accuracy: float


@dataclass(frozen=True)
class Task:
    """What all three are given."""

    folder: Path
    tokenizer: Any
    rows: Any
    held: Sequence[Question]
    steps: int
    out: Path

    @property
    def tokens(self) -> int:
        """Real tokens of the steps that are timed."""
        return sum(len(row["input_ids"]) for row in self.rows)


def save_model(folder: Path, tokenizer: Any) -> int:
    """Random weights of a small Qwen2 with the whole vocabulary; their number."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=256,
        intermediate_size=1408,
        num_hidden_layers=8,
        num_attention_heads=8,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
    )
    model = Qwen2ForCausalLM(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return sum(weight.numel() for weight in model.parameters())


def load(task: Task, checkpointing: str | bool) -> Any:
    """The model with a fresh adapter, the same for all; loaded through Unsloth."""
    import torch
    from unsloth import FastLanguageModel

    model, _ = FastLanguageModel.from_pretrained(
        str(task.folder),
        max_seq_length=MAX_LENGTH,
        dtype=torch.float32,
        load_in_4bit=False,
        use_exact_model_name=True,
        use_gradient_checkpointing=checkpointing,
    )
    return FastLanguageModel.get_peft_model(
        model,
        **LORA,
        target_modules=MODULES,
        use_gradient_checkpointing=checkpointing,
        random_state=0,
    )


def load_plainly(task: Task) -> Any:
    """The model with the same adapter by transformers and PEFT alone."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(task.folder, dtype=torch.float32)
    torch.manual_seed(0)
    return get_peft_model(
        model, LoraConfig(**LORA, target_modules=MODULES, task_type="CAUSAL_LM")
    )


def settings(task: Task, **others: Any) -> Any:
    """What the three have in common; everything else is their own."""
    from trl import SFTConfig

    return SFTConfig(
        output_dir=str(task.out),
        max_steps=task.steps,
        learning_rate=2e-4,
        lr_scheduler_type="constant",
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=0,
        bf16=False,
        max_length=None,
        shuffle_dataset=False,
        train_sampling_strategy="sequential",
        dataset_kwargs={"skip_prepare_dataset": True},
        **others,
    )


def plain_trl(task: Task) -> Any:
    """TRL's defaults: 8 rows a batch, padded, activations recomputed."""
    from trl import SFTTrainer

    model, dataset = load_plainly(task), task.rows.remove_columns("id")
    return SFTTrainer(
        model=model,
        args=settings(task, per_device_train_batch_size=ROWS_PER_STEP),
        train_dataset=dataset,
        processing_class=task.tokenizer,
    )


def notebook(task: Task) -> Any:
    """Unsloth's notebooks: batches of 2, four of them a step, its checkpointing."""
    from trl import SFTTrainer

    model, dataset = load(task, "unsloth"), task.rows.remove_columns("id")
    args = settings(
        task,
        per_device_train_batch_size=2,
        gradient_accumulation_steps=ROWS_PER_STEP // 2,
        optim="adamw_8bit",
        weight_decay=0.001,
    )
    return SFTTrainer(
        model=model, args=args, train_dataset=dataset, processing_class=task.tokenizer
    )


def ours(task: Task) -> Any:
    """This project: rows side by side in passes, nothing recomputed where memory allows."""
    from solution.finetune.packing import GlobalBatches
    from solution.finetune.trainer import BatchTrainer

    return BatchTrainer(
        model=load(task, checkpointing=False),
        args=settings(task, per_device_train_batch_size=1, gradient_checkpointing=False),
        train_dataset=task.rows,
        processing_class=task.tokenizer,
        batches=GlobalBatches(task.rows, ROWS_PER_STEP),
        budget=2 * MAX_LENGTH,
        packing=True,
    )


def timed(make: Callable[[Task], Any], task: Task) -> Run:
    """Train; only the training loop is timed."""
    trainer = make(task)
    began = time.process_time()
    trainer.train()
    seconds = time.process_time() - began
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return Run(seconds, losses[-1], accuracy(trainer.model, task))


def accuracy(model: Any, task: Task) -> float:
    """Of a trained model on the questions that no one trained on, by our scoring."""
    from solution.scoring import encode, score_model

    encoded = encode(
        task.held, load_prompt("contest"), ChatTemplate(task.tokenizer, "m"), MAX_LENGTH
    )
    scored = score_model(model, encoded)
    right = [one.answer == q.answer for one, q in zip(scored, task.held, strict=True)]
    return sum(right) / len(right)


def profile(task: Task) -> str:
    """Where our time goes: the share of matrix products and of attention."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiled

    trainer = ours(task)
    with profiled(activities=[ProfilerActivity.CPU]) as found:
        trainer.train()
    times = {event.key: event.self_cpu_time_total for event in found.key_averages()}
    whole = sum(times.values())
    products = sum(times.get(f"aten::{name}", 0) for name in ("mm", "addmm", "bmm"))
    attention = sum(t for name, t in times.items() if "scaled_dot_product" in name)
    most = sorted(times, key=lambda name: -times[name])[:8]
    named = ", ".join(f"{name} {times[name] / whole:.1%}" for name in most)
    return f"matrix products {products / whole:.0%}, attention {attention / whole:.0%}; {named}"


def draw(data: Path, count: int) -> tuple[list[Question], list[Question]]:
    """Questions of the contest's training file, and then those that are held back.

    The file is sorted by source; its first rows are less than half as long as its mean.
    """
    questions = read_exam(data / "train.csv", answers=True).questions
    drawn = random.Random(0).sample(questions, count)
    rest = [question for question in questions if question not in drawn]
    return drawn, random.Random(0).sample(rest, HELD_ROWS)


def encoded_rows(drawn: Sequence[Question], tokenizer: Any) -> Any:
    """The rows of some questions, as the recipe would read them."""
    from solution.exam import Exam
    from solution.finetune.data import FinetuneData
    from solution.finetune.recipe import Recipe
    from solution.finetune.tokenize import tokenize_examples

    recipe = Recipe.model_validate(
        {
            "name": "benchmark",
            "model": {"model": "none"},
            "data": {"train": "none", "test": "none"},
            # Steps of one row are in no order of length: the others find no sorted batches.
            "train": {"epochs": 1, "batch_size": 1},
        }
    )
    data = FinetuneData(tuple(drawn), (), Exam(Path(), (), ""), {})
    rows = tokenize_examples(recipe, data, load_prompt("contest"), tokenizer, MAX_LENGTH)
    return rows.dataset


def main() -> None:
    """Print the table."""
    import torch
    import unsloth  # noqa: F401  (before trl)
    from transformers import AutoTokenizer

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(given.tokenizer)
    drawn, held = draw(given.data, given.steps * ROWS_PER_STEP)
    rows = encoded_rows(drawn, tokenizer)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "model"
        weights = save_model(folder, tokenizer)
        task = Task(folder, tokenizer, rows, held, given.steps, Path(place) / "out")
        ways = {"this project": ours, "plain TRL": plain_trl, "Unsloth notebook": notebook}
        runs: dict[str, list[Run]] = {name: [] for name in ways}
        for _ in range(given.runs):
            for name, make in ways.items():
                runs[name].append(timed(make, task))
        print(f"\n{weights / 1e6:.1f} M weights, {len(rows)} rows, {task.tokens} real tokens\n")
        print(
            f"| | tokens/s | rows/s | times slower | last loss | right of {HELD_ROWS} held |\n"
            "|---|--:|--:|--:|--:|--:|"
        )
        best = statistics.median(run.seconds for run in runs["this project"])
        for name, found in runs.items():
            seconds = statistics.median(run.seconds for run in found)
            print(
                f"| {name} | {task.tokens / seconds:.0f} | {len(rows) / seconds:.2f} "
                f"| {seconds / best:.2f} | {found[0].loss:.5f} | {found[0].accuracy:.4f} |"
            )
        print(f"\nthis project: {profile(task)}")


if __name__ == "__main__":
    main()
