"""One process of a training by several, started by torchrun: writes losses and weights."""

import json
import os
import sys
from pathlib import Path

import unsloth  # noqa: F401  (before trl)
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from tiny import tiny_model, tiny_tokenizer
from trl import SFTConfig

from solution.finetune.processes import process
from solution.finetune.stepping import Steps, StepTrainer


def main(folder: Path) -> None:
    """Train three steps of five rows and write losses, norms and the adapter's sum."""
    tokenizer = tiny_tokenizer()
    model = get_peft_model(
        tiny_model("qwen2", tokenizer),
        LoraConfig(r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False),
    )
    rows = [
        {
            "id": f"row{i}",
            "input_ids": [10 + (7 * i + k) % 200 for k in range(20 + 9 * i)],
            "labels": [-100] * (15 + 9 * i) + [30 + i] * 5,
        }
        for i in range(11)  # the last step has one row, and one process none
    ]
    dataset = Dataset.from_list(rows)
    trainer = StepTrainer(
        model=model,
        processing_class=tokenizer,
        args=SFTConfig(
            output_dir=str(folder),
            num_train_epochs=1,
            learning_rate=0.01,
            dataset_kwargs={"skip_prepare_dataset": True},
            max_length=None,
            save_strategy="no",
            report_to="none",
            bf16=False,
            gradient_checkpointing=False,
            logging_steps=1,
        ),
        train_dataset=dataset,
        steps=Steps(dataset, 5, *process()),
        budget=120,
        packing=True,
    )
    trainer.train()
    rank, processes = process()
    entries = [e for e in trainer.state.log_history if "loss" in e]
    named = [w for n, w in model.named_parameters() if "lora_" in n]
    found = {
        "loss": [entry["loss"] for entry in entries],
        "grad_norm": [entry["grad_norm"] for entry in entries],
        "weights": [float(weight.double().sum()) for weight in named],
    }
    (folder / f"{processes}-{rank}.json").write_text(json.dumps(found), encoding="utf-8")
    os._exit(0)  # gloo's threads need no farewell


if __name__ == "__main__":
    main(Path(sys.argv[1]))
