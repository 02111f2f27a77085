"""Stages: each training starts from the previous adapter; loss on all tokens."""

import json

import pytest
import yaml
from safetensors.numpy import load_file

from solution.core import UserError
from solution.finetune.recipe import Recipe
from solution.finetune.stages import stage_recipe
from solution.finetune.tokenize import with_labels
from solution.scoring import Encoded

STAGES = [
    {"name": "first", "train": {"max_steps": 3, "train_on_prompt": True}},
    {"name": "second", "train": {"max_steps": 2}, "data": {"seed": 1}},
]


def tuned(world):
    process = world.start()
    _, told = process.communicate()
    return process.returncode, told


def recipe(world, **changes):
    path = world.folder / "recipe.yaml"
    value = yaml.safe_load(path.read_text(encoding="utf-8")) | changes
    path.write_text(yaml.safe_dump(value, allow_unicode=True), encoding="utf-8")
    return Recipe.model_validate(value)


def test_the_second_stage_begins_where_the_first_ended(tiny_world, tmp_path):
    own = tiny_world.copy(tmp_path / "world")
    recipe(own, stages=STAGES)
    status, told = tuned(own)
    assert status == 0, told
    runs = own.folder / "runs" / "finetune"
    first, second = runs / "tiny-1-first", runs / "tiny"
    ends = json.loads((first / "metrics.json").read_text())["after"]
    begins = json.loads((second / "metrics.json").read_text())["before"]
    assert begins["test"] == ends["test"]
    assert begins["validation"] == ends["validation"]
    weights = [
        load_file(run / "adapter" / "adapter_model.safetensors") for run in (first, second)
    ]
    name = next(key for key in weights[0] if ".lora_A." in key)
    moved = abs(weights[1][name] - weights[0][name]).max()
    assert 0 < moved < abs(weights[0][name]).max()  # continued, not restarted


def test_a_faulty_stage_is_named_before_anything_is_trained(tiny_world, tmp_path):
    own = tiny_world.copy(tmp_path / "world")
    plan = recipe(own, stages=[STAGES[0], {"name": "odd", "train": {"max_step": 2}}])
    with pytest.raises(
        UserError, match=r"(?s)stage odd: 1 problem.*train\.max_step: unknown key; did you mean"
    ):
        stage_recipe(plan, 1)


def test_an_adapter_of_another_rank_is_refused_by_name(tiny_world, tmp_path):
    own = tiny_world.copy(tmp_path / "world")
    recipe(own, train={"max_steps": 2}, lora={"r": 4})
    assert tuned(own)[0] == 0
    start = own.folder / "runs" / "finetune" / "tiny" / "adapter"
    recipe(own, name="wider", lora={"r": 8}, adapter_init=str(start))
    status, told = tuned(own)
    assert status == 2
    assert "adapter_init:" in told


def test_train_on_prompt_supervises_the_question_too():
    row = Encoded("a", (1, 2, 3), ((7,), (8,)))
    assert with_labels(row, 2, 9)["labels"] == [-100, -100, -100, 8, 9]
    assert with_labels(row, 2, 9, train_on_prompt=True)["labels"] == [1, 2, 3, 8, 9]
