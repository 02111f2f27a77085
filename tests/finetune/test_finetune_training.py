"""Whole runs of the real Unsloth and TRL on the CPU, one of them killed on its way."""

import csv
import json
import signal
import time
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from solution.exam import load_prompt, read_exam, split_validation
from solution.models import ModelReference, load
from solution.scoring import evaluate, read_predictions


@pytest.fixture(scope="module")
def finished(tiny_world, tmp_path_factory):
    """A run that nobody interrupted, and what it said."""
    world = tiny_world.copy(tmp_path_factory.mktemp("finished") / "world")
    process = world.start()
    out, err = process.communicate()
    assert process.returncode == 0, err
    return SimpleNamespace(world=world, run=world.run, out=out, err=err)


@pytest.fixture(scope="module")
def offline(finished):
    """Base and adapter as `predict` loads them, and the validation questions."""
    folder = finished.world.folder
    adapter = str(finished.run / "adapter")
    loaded = load(
        ModelReference(
            model=str(folder / "model"), dtype="float32", adapter=adapter, max_length=256
        )
    )
    train = read_exam(folder / "train.csv", answers=True).questions
    held = [train[i] for i in split_validation(train, 0.2, 0)[1]]
    prompt = load_prompt(str(folder / "prompt.yaml"))
    return SimpleNamespace(loaded=loaded, prompt=prompt, held=held)


def test_loss_falls_and_a_trivial_exam_is_learnt(finished):
    metrics = finished.world.metrics()
    losses = [entry["loss"] for entry in metrics["training"]["loss"]]
    assert losses[-1] < 0.3 * losses[0]
    assert metrics["before"]["test"]["overall"] < 0.7
    assert metrics["after"]["test"]["overall"] == 1.0
    assert set(metrics["after"]["test"]) == {"overall", "public", "private", "국어", "사회"}


def test_the_table_shows_what_the_tuning_gained(finished):
    before = finished.world.metrics()["before"]["test"]["overall"]
    (line,) = [line.split() for line in finished.out.splitlines() if line.startswith("test ")]
    assert line == ["test", f"{before:.4f}", "1.0000", f"{100 * (1 - before):+.1f}"]


def test_accuracy_in_training_is_that_of_the_offline_scorer(finished, offline):
    training = finished.world.metrics()["training"]
    best = next(v for v in training["validation"] if v["step"] == training["best_step"])
    scored, _ = evaluate(offline.loaded, offline.held, offline.prompt)
    accuracy = sum(one.answer == 2 for one in scored) / len(scored)
    loss = -sum(one.log_likelihood[1] for one in scored) / len(scored)
    assert accuracy == best["accuracy"] == finished.world.metrics()["after"]["validation"]
    assert loss == pytest.approx(best["loss"], abs=1e-4)


def test_the_adapter_reloads_to_the_same_predictions(finished, offline):
    test = read_exam(finished.world.folder / "test.csv").questions
    scored, _ = evaluate(offline.loaded, test, offline.prompt)
    predictions = read_predictions(finished.run / "predictions.parquet")
    assert [p.id for p in predictions] == [q.id for q in test]
    for ours, theirs in zip(scored, predictions, strict=True):
        assert ours.answer == theirs.answer
        assert ours.probability == pytest.approx(theirs.probability, abs=1e-6)


def test_the_adapter_is_safetensors_with_a_card_and_without_paths(finished):
    adapter = finished.run / "adapter"
    assert {path.name for path in adapter.iterdir()} == {
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "trained_on.json",
        "training.json",
    }
    settings = json.loads((adapter / "adapter_config.json").read_text())
    assert settings["base_model_name_or_path"] == "model"
    card = (adapter / "README.md").read_text(encoding="utf-8")
    assert "| trained on | 64 |" in card and "| validation, split by passage |" in card
    assert "## Limits and licences" in card


def test_the_folder_holds_what_the_contract_names_and_no_work(finished):
    names = {path.name for path in finished.run.iterdir()}
    assert names == {
        "adapter",
        "config.yaml",
        "environment.json",
        "log.txt",
        "metrics.json",
        "predictions.parquet",
        "steps.csv",
        "training.svg",
    }
    assert [path.name for path in finished.run.parent.iterdir()] == ["tiny"]
    assert {path.name for path in finished.world.folder.iterdir()} == {
        *("model", "prompt.yaml", "recipe.yaml", "train.csv", "test.csv", "solution.csv"),
        *("runs", "submissions"),
    }


def test_every_step_and_scoring_stands_in_the_table_and_in_the_picture(finished):
    training = finished.world.metrics()["training"]
    with (finished.run / "steps.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [float(row["loss"]) for row in rows] == [one["loss"] for one in training["loss"]]
    scored = [row for row in rows if row["validation_accuracy"]]
    told = [(int(row["step"]), float(row["validation_accuracy"])) for row in scored]
    assert told == [(one["step"], one["accuracy"]) for one in training["validation"]]
    ids = {one.get("id") for one in ElementTree.parse(finished.run / "training.svg").iter()}
    assert {"training loss", "validation accuracy"} <= ids


def test_banners_go_to_the_log_and_not_to_the_screen(finished):
    assert "validation accuracy" in finished.err
    for noise in ("Unsloth", "Warning", "Loading weights", "🦥"):
        assert noise not in finished.err and noise not in finished.out
    assert "Unsloth" in (finished.run / "log.txt").read_text(encoding="utf-8")


def test_a_finished_run_is_used_again_without_unsloth(finished, monkeypatch):
    from solution.finetune import finetune, single

    monkeypatch.chdir(finished.world.folder)
    monkeypatch.setattr(single, "_work", lambda *_: pytest.fail("the run was repeated"))
    again = finetune("recipe.yaml", None, None, None, [])
    assert again.resolve() == finished.run.resolve()


def test_a_killed_run_goes_on_and_ends_as_if_nobody_had_killed_it(
    finished, tiny_world, tmp_path
):
    world = tiny_world.copy(tmp_path / "world")
    process = world.start()
    while not process.stderr.readline().startswith("Before tuning"):
        assert process.poll() is None
    process.kill()
    process.communicate(timeout=600)  # its scoring process ends too, or the pipes stayed open
    process = world.start()
    while len(world.checkpoints) == 0 and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not world.run.exists() and not (world.folder / "submissions").exists()
    damage_newest(world)
    process = world.start()
    _out, err = process.communicate()
    assert process.returncode == 0, err
    assert "Resuming from step" in err
    for name in ("adapter/adapter_model.safetensors", "predictions.parquet"):
        assert (world.run / name).read_bytes() == (finished.run / name).read_bytes()
    ours, theirs = world.metrics()["training"], finished.world.metrics()["training"]
    assert ours["loss"] == theirs["loss"] and ours["validation"] == theirs["validation"]
    submission = "submissions/tiny/submission.csv"
    assert (world.folder / submission).read_bytes() == (
        finished.world.folder / submission
    ).read_bytes()


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)], ids=["sigterm", "ctrl-c"]
)
def test_a_stop_leaves_a_checkpoint_and_the_command_to_go_on(
    number, status, finished, tiny_world, tmp_path
):
    world = tiny_world.copy(tmp_path / "world")
    process = world.start()
    while len(world.checkpoints) == 0 and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(number)
    _out, err = process.communicate()
    assert process.returncode == status, err
    assert "Resume with: ./run.sh finetune --recipe recipe.yaml" in err
    assert not world.run.exists() and world.checkpoints
    process = world.start()
    _out, err = process.communicate()
    assert process.returncode == 0, err
    name = "adapter/adapter_model.safetensors"
    assert (world.run / name).read_bytes() == (finished.run / name).read_bytes()
    ours, theirs = world.metrics()["training"], finished.world.metrics()["training"]
    assert ours["loss"] == theirs["loss"]


def damage_newest(world):
    """Leave a newer checkpoint that was not written to its end, as a kill would."""
    whole = world.checkpoints[-1]
    torn = whole.with_name("checkpoint-999")
    torn.mkdir()
    (torn / "adapter_model.safetensors").write_bytes(b"")
