"""Shipped recipes, and what a user may give wrongly: exit 2, one message, nothing written."""

from dataclasses import replace
from pathlib import Path

import pytest

import solution.finetune.single as single
from solution.cli import main
from solution.exam import read_exam, write_exam
from solution.finetune import evaluate, read_recipe

SHIPPED = sorted(Path(single.__file__).parents[1].glob("recipes/*.yaml"))


@pytest.fixture
def world(tiny_world, tmp_path, monkeypatch):
    world = tiny_world.copy(tmp_path / "world")
    monkeypatch.chdir(world.folder)
    return world.folder


def refused(capsys, *arguments: str) -> str:
    """The one message of a command that must end with status 2 and leave nothing behind."""
    assert main(["finetune", *arguments]) == 2
    for name in ("runs", "submissions"):
        assert not Path(name).exists()
    error = capsys.readouterr().err
    assert error.count("error: ") == 1 and "Traceback" not in error
    return error


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_recipe_is_valid_and_named_as_its_file(path, monkeypatch):
    monkeypatch.setattr(Path, "is_file", lambda _: True)  # the user's data is not here
    recipe = read_recipe(path.stem, None, None, [])
    assert recipe.name == path.stem
    assert path.read_text(encoding="utf-8").startswith("# ")
    assert (
        f"finetune --recipe {path.stem}" in path.read_text(encoding="utf-8")
        or path.stem == "embedded"
    )


def test_the_v100_recipe_asks_only_for_what_the_card_can_do(monkeypatch):
    monkeypatch.setattr(Path, "is_file", lambda _: True)
    recipe = read_recipe("qwen2.5-32b-v100", None, None, [])
    assert (recipe.model.quantization, recipe.model.dtype) == ("4bit", "float16")
    assert len(recipe.lora.target_modules) == 7 and recipe.lora.use_rslora
    assert 8 <= recipe.train.batch_size * recipe.train.gradient_accumulation_steps <= 16


def test_another_test_file_makes_the_recipes_solution_void(world):
    given = read_recipe("recipe.yaml", None, Path("test.csv"), [])
    assert given.data.solution is None
    named = read_recipe("recipe.yaml", None, Path("test.csv"), ["data.solution=solution.csv"])
    assert named.data.solution == "solution.csv"


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("train.epoch=3", "train.epoch: unknown key; did you mean epochs?"),
        ("lorra.r=3", "lorra: unknown key; did you mean lora?"),
        ("train.epochs=many", "train.epochs"),
        ("train.epochs=0", "train.epochs"),
        ("train.learning_rate=-1", "train.learning_rate"),
        ("train.learning_rate=.nan", "train.learning_rate"),
        ("train.gradient_accumulation=2", "replaced by gradient_accumulation_steps"),
        ("train.evaluate_every=2", "replaced by eval_steps"),
        ("train.save_every=2", "replaced by save_steps"),
        ("train.schedule=linear", "replaced by lr_scheduler_type"),
        ("train.optimizer=adamw_8bit", "replaced by optim"),
        ("train.evaluation_batch_tokens=9", "replaced by eval_batch_tokens"),
        ("train.loss=all", "replaced by train_on_prompt"),
        ("lora.rslora=true", "replaced by use_rslora"),
        ("lora.dora=true", "replaced by use_dora"),
        ("lora.init=pissa", "no longer supported"),
        ("start=runs/a", "replaced by adapter_init"),
        ("data.kowiki={questions_share: 1}", "replaced by questions_per_train_question"),
        ("retrieve={passages: p, in_training: 1}", "replaced by train_fraction"),
        ("train.lr_scheduler_type=zigzag", "train.lr_scheduler_type"),
        ("train.optim=sgd", "train.optim"),
        ("lora.dropout=1", "lora.dropout"),
        ("lora.target_modules=[]", "lora.target_modules"),
        ("data.validation_fraction=0.9", "data.validation_fraction"),
        ("data.seed=-1", "data.seed"),
        ("name=../elsewhere", "name"),
        ("model.quantization=3bit", "model.quantization"),
        ("model.adapter=other", "remove the key adapter"),
        ("model.model=./absent", "./absent"),
        ("model.model=data/absent", "no such folder"),
        ("prompt=absent", "absent"),
        ("data.train=absent.csv", "absent.csv: no such file"),
        ("data.solution=absent.csv", "absent.csv: no such file"),
        ("data.train=test.csv", "answer: expected"),
        ("data.test=train.csv", "in both files"),
        ("data.solution=test.csv", "Usage"),
        ("train", "key=value"),
    ],
)
def test_a_wrong_setting_is_one_message_and_nothing_written(world, capsys, setting, expected):
    assert expected in refused(capsys, "--recipe", "recipe.yaml", "--set", setting)


def test_an_unknown_recipe_names_those_that_exist(world, capsys):
    assert "embedded, " in refused(capsys, "--recipe", "qwen")


@pytest.mark.parametrize("content", ["", "id,paragraph,problems,question_plus\n"])
def test_an_empty_training_file_is_refused(world, capsys, content):
    Path("train.csv").write_text(content)
    assert "train.csv" in refused(capsys, "--recipe", "recipe.yaml")


def test_a_training_file_of_one_passage_cannot_be_split(world, capsys):
    questions = read_exam(Path("train.csv")).questions
    write_exam(Path("train.csv"), [replace(q, paragraph="같은 지문") for q in questions])
    assert "passages" in refused(capsys, "--recipe", "recipe.yaml")


def test_a_solution_for_another_test_is_refused(world, capsys):
    text = Path("solution.csv").read_text().replace("test003", "test999")
    Path("solution.csv").write_text(text)
    assert "test999" in refused(capsys, "--recipe", "recipe.yaml")


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda model: (model / "config.json").unlink(), "config.json"),
        (
            lambda model: (model / "model.safetensors").rename(model / "pytorch_model.bin"),
            "pickle",
        ),
    ],
)
def test_a_damaged_model_is_refused_before_any_training(
    world, capsys, monkeypatch, damage, expected
):
    monkeypatch.setattr(single, "evaluate_in_subprocess", evaluate.evaluate_exams)
    damage(Path("model"))
    assert expected in refused(capsys, "--recipe", "recipe.yaml")


def test_a_question_too_long_for_the_model_leaves_nothing_behind(world, capsys, monkeypatch):
    monkeypatch.setattr(single, "evaluate_in_subprocess", evaluate.evaluate_exams)
    message = refused(capsys, "--recipe", "recipe.yaml", "--set", "model.max_length=32")
    assert "too long even without its passage" in message
