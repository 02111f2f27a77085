"""Trackers and the plot of a training."""

from xml.etree import ElementTree

import pytest

from solution.core import UserError
from solution.finetune.plot import plot_training
from solution.finetune.recipe import read_recipe


def test_a_tracker_that_is_not_installed_is_refused_with_the_remedy(monkeypatch):
    monkeypatch.setattr("solution.finetune.recipe.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"wandb is not installed.*-m pip install wandb"):
        read_recipe("embedded", None, None, ["report_to=wandb"])
    assert read_recipe("embedded", None, None, []).report_to == "none"


def test_steps_and_scorings_reach_tensorboard_and_stay_with_the_run(tiny_world, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    world = tiny_world.copy(tmp_path / "world")
    changes = ("report_to=tensorboard", "train.max_steps=4", "train.eval_steps=2")
    process = world.start(*(part for change in changes for part in ("--set", change)))
    _out, err = process.communicate()
    assert process.returncode == 0, err
    events = EventAccumulator(str(world.run / "tensorboard")).Reload()
    training = world.metrics()["training"]
    losses = [event.value for event in events.Scalars("train/loss")]
    assert losses == pytest.approx([step["loss"] for step in training["loss"]])
    scored = [event.step for event in events.Scalars("train/validation_accuracy")]
    assert scored == [2, 4]


@pytest.mark.parametrize(
    ("loss", "accuracy", "lines"),
    [
        ([(1, 2.0)], [], 1),
        ([(1, 2.0), (2, 2.0)], [(2, 0.5)], 2),
        ([(step, 1 / step) for step in range(1, 400)], [(100, 0.2), (399, 0.4)], 2),
    ],
    ids=["one step", "level", "long"],
)
def test_the_plot_has_a_line_for_each_metric(tmp_path, loss, accuracy, lines):
    plot_training(tmp_path / "p.svg", "a <b> & c", loss, accuracy)
    root = ElementTree.parse(tmp_path / "p.svg").getroot()
    ids = {element.get("id") for element in root.iter()}
    assert len(ids & {"training loss", "validation accuracy"}) == lines
    assert any(element.text == "a <b> & c" for element in root.iter())
