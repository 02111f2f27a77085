"""The trainer of a few rows on a tiny model: logs, non-finite values, a full disk, progress."""

import math
import resource
from types import SimpleNamespace

import pytest

from solution.core import UserError
from solution.finetune.checkpoints import TrainingState
from solution.finetune.packing import packed, padded


@pytest.fixture
def trainer(tmp_path):
    import unsloth  # noqa: F401  (before trl)
    from datasets import Dataset
    from peft import LoraConfig, get_peft_model
    from tiny import tiny_model, tiny_tokenizer
    from trl import SFTConfig

    from solution.finetune.packing import GlobalBatches
    from solution.finetune.trainer import BatchTrainer

    tokenizer = tiny_tokenizer()
    config = LoraConfig(r=2, target_modules=["q_proj", "v_proj"])
    rows = [
        {
            "id": f"row{i}",
            "input_ids": list(range(20, 40 + i)),
            "labels": [-100] * 19 + [5] * (1 + i),
        }
        for i in range(4)
    ]
    dataset = Dataset.from_list(rows)
    return BatchTrainer(
        model=get_peft_model(tiny_model("llama", tokenizer), config),
        processing_class=tokenizer,
        args=SFTConfig(
            output_dir=str(tmp_path),
            num_train_epochs=1,
            dataset_kwargs={"skip_prepare_dataset": True},
            max_length=None,
            save_strategy="no",
            report_to="none",
            bf16=False,
            gradient_checkpointing=False,
            logging_steps=1,
        ),
        train_dataset=dataset,
        batches=GlobalBatches(dataset, 2),
        budget=64,
        packing=True,
    )


def test_a_step_logs_its_cost_and_the_gradient_norm_of_each_module_type(trainer):
    trainer.args.max_grad_norm = 1e-6  # clipping must not change the logged norms
    trainer.train()
    entry = next(e for e in trainer.state.log_history if "loss" in e)
    assert entry["tokens"] == 20 + 21 and entry["padding"] == 0 and entry["micro_batches"] == 1
    assert entry["tokens_per_second"] > 0
    norms = [entry[f"grad_norm/{name}"] for name in ("q_proj", "v_proj")]
    assert sum(norm**2 for norm in norms) == pytest.approx(entry["grad_norm"] ** 2, rel=1e-4)


def test_a_nonfinite_loss_names_the_rows(trainer):
    head = trainer.model.get_base_model().get_input_embeddings()
    head.weight.data[41] = float("nan")  # only in the rows of the second step
    with pytest.raises(UserError, match="step 2: the loss is nan, in the rows row2, row3"):
        trainer.train()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_nonfinite_gradient_changes_no_weight(trainer, value):
    weight = next(w for n, w in trainer.model.named_parameters() if "lora_B" in n)
    weight.register_hook(lambda gradient: gradient * value)
    before = {n: w.clone() for n, w in trainer.model.named_parameters()}
    trainer.train()
    assert all((w == before[n]).all() for n, w in trainer.model.named_parameters())
    assert not math.isfinite(trainer.state.log_history[0]["grad_norm"])


def test_a_full_disk_costs_the_new_checkpoint_and_not_the_training(trainer, tmp_path, capsys):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    trainer.train()
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        trainer.control.should_training_stop = False
        trainer._save_checkpoint(trainer.model, None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.glob("checkpoint-*"))
    assert "training continues" in capsys.readouterr().err
    trainer._save_checkpoint(trainer.model, None)
    assert len(list(tmp_path.glob("checkpoint-*"))) == 1


def test_the_head_runs_on_supervised_positions_only(trainer):
    import torch
    from torch.overrides import TorchFunctionMode

    seen = []
    weight = trainer.model.get_base_model().get_output_embeddings().weight

    class Recorder(TorchFunctionMode):
        def __torch_function__(self, function, types, arguments=(), named=None):
            out = function(*arguments, **(named or {}))
            tensor = isinstance(out, torch.Tensor) and out.shape[-1:] == weight.shape[:1]
            if tensor and out.data_ptr() != weight.data_ptr():  # not the transposed head
                seen.append(out.numel() // out.shape[-1])
            return out

    rows = trainer.batches[1]["rows"]
    for batch in (packed(rows), padded(rows, 0)):
        seen.clear()
        with Recorder():
            trainer.compute_loss(trainer.model, batch, num_items_in_batch=torch.tensor(7))
        assert max(seen) == 3 + 4


def test_a_resumed_training_shows_the_step_of_the_whole_run(tmp_path, monkeypatch):
    from solution.finetune.callback import TrainingCallback
    from solution.finetune.recipe import Train

    for name in ("INTERVAL", "FIRST_LINE"):
        monkeypatch.setattr(f"solution.core.progress.{name}", 0.0)
    logs = {"loss": 1.0, "learning_rate": 0.1, "tokens_per_second": 5.0, "padding": 0.0}
    state = SimpleNamespace(global_step=9, max_steps=10)
    with (tmp_path / "screen").open("w") as screen:
        callback = TrainingCallback(
            Train(), tmp_path, TrainingState(), None, screen=screen, stop_requested=bool
        )
        callback.on_train_begin(None, state, None)
        callback.on_log(None, state, None, logs)
    lines = (tmp_path / "screen").read_text().splitlines()
    assert lines[0] == "Resuming from step 9 of 10." and "train: 10/10 steps" in lines[-1]


def test_many_nonfinite_gradients_in_a_row_are_a_user_error(tmp_path):
    from solution.finetune.callback import MAX_NONFINITE_STEPS, TrainingCallback
    from solution.finetune.recipe import Train

    callback = TrainingCallback(
        Train(), tmp_path, TrainingState(), None, screen=None, stop_requested=bool
    )
    for step in range(1, MAX_NONFINITE_STEPS):
        callback._count_nonfinite(math.inf, step)
    assert callback.state.skipped_steps == MAX_NONFINITE_STEPS - 1
    with pytest.raises(UserError, match="wider range"):
        callback._count_nonfinite(math.nan, MAX_NONFINITE_STEPS)
