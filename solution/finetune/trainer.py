"""The trainer of one recipe; to be imported after Unsloth, which patches what it builds on."""

from __future__ import annotations

import math
from typing import Any

from transformers import PrinterCallback
from trl import SFTConfig

from solution.core import log
from solution.finetune.callbacks import Watch
from solution.finetune.data import effective_batch
from solution.finetune.processes import process
from solution.finetune.recipe import Recipe
from solution.finetune.rowset import Rows
from solution.finetune.stepping import Steps, StepTrainer
from solution.scoring import keeps_apart

# So much of two rows decides whether a model can read them side by side.
PROBE = 64


def make_trainer(
    recipe: Recipe,
    model: Any,
    tokenizer: Any,
    rows: Rows,
    *,
    watch: Watch,
    dtype: str,
    budget: int,
) -> Any:
    """TRL's trainer over finished rows, put into passes of at most `budget` tokens.

    It shuffles, cuts and packs nothing itself.
    """
    train = recipe.train
    steps = Steps(rows.dataset, effective_batch(recipe), *process())
    settings = SFTConfig(
        output_dir=str(watch.place),
        num_train_epochs=1,  # the rows hold all epochs, each in its own order
        dataset_kwargs={"skip_prepare_dataset": True},
        packing=False,
        padding_free=False,
        max_length=None,
        per_device_train_batch_size=1,  # one step, which the trainer puts into passes
        gradient_accumulation_steps=1,
        learning_rate=train.learning_rate,
        lr_scheduler_type=train.schedule,
        warmup_steps=math.ceil(train.warmup_ratio * len(steps)),
        weight_decay=train.weight_decay,
        optim=train.optimizer,
        gradient_checkpointing=bool(train.gradient_checkpointing),
        fp16=dtype == "float16",
        bf16=dtype == "bfloat16",
        seed=recipe.data.seed,
        save_strategy="no",  # the watch asks for checkpoints, and marks them
        eval_strategy="no",
        logging_steps=1,
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        report_to=recipe.report_to,
        run_name=recipe.name,
    )
    trainer = StepTrainer(
        model=model,
        processing_class=tokenizer,
        args=settings,
        train_dataset=rows.dataset,
        callbacks=[watch],
        steps=steps,
        budget=budget,
        packing=train.packing and can_pack(model, rows),
        validated=watch.validated,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def can_pack(model: Any, rows: Rows) -> bool:
    """Whether two of the rows, side by side, leave each other alone in this model."""
    dataset = rows.dataset
    first, second = (dataset[i % len(dataset)]["input_ids"][-PROBE:] for i in (0, 1))
    able = keeps_apart(model, first, second)
    if not able:
        log("This model mixes neighbouring rows: they are padded instead of packed.")
    return able
