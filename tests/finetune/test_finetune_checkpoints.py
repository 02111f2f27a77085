"""Checkpoints: which one is resumed after damage, and which are kept."""

from pathlib import Path

import pytest

from solution.finetune.checkpoints import (
    MARKER,
    Evaluation,
    TrainingState,
    latest_valid_checkpoint,
    prune,
    read_state,
    write_marker,
)

WEIGHTS = "adapter_model.safetensors"


def make_checkpoint(place: Path, step: int, best: int | None = None) -> Path:
    folder = place / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    (folder / WEIGHTS).write_bytes(bytes([step]) * 1000)
    (folder / "optimizer.pt").write_bytes(b"moments" * 50)
    state = TrainingState(seconds=float(step))
    if best:
        found = Evaluation(step=best, accuracy=0.5, loss=1.0)
        state = state.model_copy(update={"validation": (found,)})
        (place / f"adapter-{best}").mkdir(exist_ok=True)
        (place / f"adapter-{best}" / WEIGHTS).write_bytes(b"best")
    write_marker(folder, state)
    return folder


def truncate(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-1])


def delete_a_file(folder: Path) -> None:
    (folder / "optimizer.pt").unlink()


def delete_the_marker(folder: Path) -> None:
    (folder / MARKER).unlink()


def truncate_the_marker(folder: Path) -> None:
    (folder / MARKER).write_text((folder / MARKER).read_text()[:40])


def truncate_the_best_adapter(folder: Path) -> None:
    (folder.parent / "adapter-8" / WEIGHTS).write_bytes(b"")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (truncate, "999 bytes instead of 1000"),
        (delete_a_file, "optimizer.pt is missing"),
        (delete_the_marker, "no valid marker"),
        (truncate_the_marker, "no valid marker"),
        (truncate_the_best_adapter, "0 bytes instead of 4"),
    ],
)
def test_incomplete_checkpoints_are_deleted_and_named_in_one_line(
    tmp_path, capsys, damage, reason
):
    valid = make_checkpoint(tmp_path, 5, best=4)
    damage(make_checkpoint(tmp_path, 10, best=8))
    assert latest_valid_checkpoint(tmp_path) == valid
    (line,) = capsys.readouterr().err.splitlines()
    assert "checkpoint-10" in line and reason in line and "from checkpoint-5" in line
    assert not (tmp_path / "checkpoint-10").exists()
    assert read_state(valid).seconds == 5.0


def test_without_a_complete_checkpoint_training_starts_from_the_beginning(tmp_path, capsys):
    assert latest_valid_checkpoint(tmp_path) is None
    truncate(make_checkpoint(tmp_path, 5))
    assert latest_valid_checkpoint(tmp_path) is None
    assert "from the beginning" in capsys.readouterr().err


def test_the_newest_checkpoints_and_their_best_adapters_are_kept(tmp_path):
    for step, best in ((5, 4), (10, 4), (15, 12)):
        make_checkpoint(tmp_path, step, best)
    delete_the_marker(make_checkpoint(tmp_path, 20, 12))
    (tmp_path / "adapter-2").mkdir()
    prune(tmp_path, save_total_limit=2)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"checkpoint-10", "checkpoint-15", "adapter-4", "adapter-12"}
