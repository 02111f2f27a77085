"""Which checkpoint is taken after damage, what is said of it, and what is kept."""

import json
import resource
import signal
from pathlib import Path

import pytest

from solution.finetune.checkpoints import (
    MARKER,
    Course,
    Validation,
    mark_complete,
    newest_complete,
    prune,
    read_course,
)
from solution.finetune.packing import packed, padded
from solution.finetune.stopping import command_to_go_on, stopping

WEIGHTS = "adapter_model.safetensors"


def make_checkpoint(place: Path, step: int, best: int | None = None) -> Path:
    folder = place / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    (folder / WEIGHTS).write_bytes(bytes([step]) * 1000)
    (folder / "optimizer.pt").write_bytes(b"moments" * 50)
    course = Course(seconds=float(step))
    if best:
        found = Validation(step=best, accuracy=0.5, loss=1.0)
        course = course.model_copy(update={"validation": (found,)})
        (place / f"adapter-{best}").mkdir(exist_ok=True)
        (place / f"adapter-{best}" / WEIGHTS).write_bytes(b"best")
    mark_complete(folder, course)
    return folder


def truncate(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-1])


def flip_a_byte(folder: Path) -> None:
    data = bytearray((folder / WEIGHTS).read_bytes())
    data[500] ^= 1
    (folder / WEIGHTS).write_bytes(data)


def lose_a_file(folder: Path) -> None:
    (folder / "optimizer.pt").unlink()


def lose_the_marker(folder: Path) -> None:
    (folder / MARKER).unlink()


def tear_the_marker(folder: Path) -> None:
    (folder / MARKER).write_text((folder / MARKER).read_text()[:40])


def damage_the_best_adapter(folder: Path) -> None:
    (folder.parent / "adapter-8" / WEIGHTS).write_bytes(b"bent")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (truncate, "999 bytes instead of 1000"),
        (flip_a_byte, "is not what was written"),
        (lose_a_file, "optimizer.pt is missing"),
        (lose_the_marker, "not written to its end"),
        (tear_the_marker, "not written to its end"),
        (damage_the_best_adapter, f"../adapter-8/{WEIGHTS} is not what was written"),
    ],
)
def test_the_newest_whole_checkpoint_is_taken_and_the_damaged_named_in_one_line(
    tmp_path, capsys, damage, said
):
    whole = make_checkpoint(tmp_path, 5, best=4)
    damage(make_checkpoint(tmp_path, 10, best=8))
    assert newest_complete(tmp_path) == whole
    (line,) = capsys.readouterr().err.splitlines()
    assert "checkpoint-10" in line and said in line and "Taken: checkpoint-5" in line
    assert not (tmp_path / "checkpoint-10").exists()
    assert read_course(whole).seconds == 5.0


def test_without_any_whole_checkpoint_training_begins_anew(tmp_path, capsys):
    assert newest_complete(tmp_path) is None
    truncate(make_checkpoint(tmp_path, 5))
    assert newest_complete(tmp_path) is None
    assert "from the start" in capsys.readouterr().err


def test_the_newest_two_stay_with_the_best_adapters_of_both(tmp_path):
    for step, best in ((5, 4), (10, 4), (15, 12)):
        make_checkpoint(tmp_path, step, best)
    make_checkpoint(tmp_path, 20, 12)
    lose_the_marker(tmp_path / "checkpoint-20")
    (tmp_path / "adapter-2").mkdir()
    prune(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"checkpoint-10", "checkpoint-15", "adapter-4", "adapter-12"}


def test_a_marker_holds_sizes_and_digests_and_is_not_part_of_itself(tmp_path):
    folder = make_checkpoint(tmp_path, 5)
    files = json.loads((folder / MARKER).read_text())["files"]
    assert set(files) == {WEIGHTS, "optimizer.pt"}
    assert all(size > 0 and len(digest) == 64 for size, digest in files.values())


def test_a_request_to_end_is_remembered_and_a_second_ends_the_process():
    before = signal.getsignal(signal.SIGTERM)
    with stopping() as asked:
        assert not asked()
        signal.raise_signal(signal.SIGTERM)
        assert asked() and signal.getsignal(signal.SIGTERM) == before
    assert signal.getsignal(signal.SIGTERM) == before


def test_the_command_to_go_on_can_be_pasted(monkeypatch):
    monkeypatch.setattr("sys.argv", ["solution", "finetune", "--set", "name=my run"])
    assert command_to_go_on() == "./run.sh finetune --set 'name=my run'"


@pytest.fixture
def trainer(tmp_path):
    """The real trainer of two rows on a model of a few thousand weights."""
    import unsloth  # noqa: F401  (before trl)
    from datasets import Dataset
    from peft import LoraConfig, get_peft_model
    from tiny import tiny_model, tiny_tokenizer
    from trl import SFTConfig

    from solution.finetune.stepping import Steps, StepTrainer

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
    return StepTrainer(
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
        steps=Steps(dataset, 2),
        budget=64,
        packing=True,
    )


def test_a_step_is_logged_with_its_cost_and_the_norm_of_each_group(trainer):
    trainer.train()
    entry = next(e for e in trainer.state.log_history if "loss" in e)
    assert entry["tokens"] == 20 + 21 and entry["padding"] == 0 and entry["passes"] == 1
    assert entry["tokens_per_second"] > 0
    norms = [entry[f"grad_norm/{name}"] for name in ("q_proj", "v_proj")]
    assert sum(norm**2 for norm in norms) == pytest.approx(entry["grad_norm"] ** 2, rel=1e-4)


def test_a_loss_that_is_no_number_names_the_rows(trainer):
    from solution.core import UserError

    head = trainer.model.get_base_model().get_input_embeddings()
    head.weight.data[41] = float("nan")  # only in the rows of the second step
    with pytest.raises(UserError, match="step 2: the loss is nan, in the rows row2, row3"):
        trainer.train()


def test_a_gradient_that_is_no_number_changes_nothing(trainer):
    weight = next(w for n, w in trainer.model.named_parameters() if "lora_B" in n)
    weight.register_hook(lambda gradient: gradient * float("nan"))
    before = {n: w.clone() for n, w in trainer.model.named_parameters()}
    trainer.train()
    assert all((w == before[n]).all() for n, w in trainer.model.named_parameters())


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
    assert "the one before it stays, and training goes on" in capsys.readouterr().err
    trainer._save_checkpoint(trainer.model, None)
    assert len(list(tmp_path.glob("checkpoint-*"))) == 1


def test_the_head_runs_on_supervised_positions_only(trainer):
    seen = []
    causal = trainer.model.get_base_model()
    weight = causal.get_output_embeddings().weight
    import torch
    from torch.overrides import TorchFunctionMode

    class Watching(TorchFunctionMode):
        def __torch_function__(self, function, types, arguments=(), named=None):
            out = function(*arguments, **(named or {}))
            tensor = isinstance(out, torch.Tensor) and out.shape[-1:] == weight.shape[:1]
            if tensor and out.data_ptr() != weight.data_ptr():  # not the head itself, turned
                seen.append(out.numel() // out.shape[-1])
            return out

    rows = trainer.steps[1]["rows"]
    for given in (packed(rows), padded(rows, 0)):
        seen.clear()
        with Watching():
            trainer.compute_loss(trainer.model, given, num_items_in_batch=torch.tensor(7))
        assert max(seen) == 3 + 4
