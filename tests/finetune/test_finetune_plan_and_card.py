"""The data card, the plan of a recipe, and recipes that contradict themselves."""

from dataclasses import replace

import pytest

from solution.cli import main
from solution.core import UserError, load_config, resolve_config
from solution.exam import Exam, Question
from solution.finetune.data import FinetuneData
from solution.finetune.memory import plan, plan_training
from solution.finetune.model_card import data_card, data_section
from solution.finetune.recipe import Recipe, create_tiny_model, read_recipe
from solution.finetune.train import length_statistics

QUESTION = Question("a", "", "?", ("1", "2", "3", "4"), answer=2, source="haedeun")


def test_the_data_card_counts_sources_drops_answers_and_lengths(tmp_path):
    five = replace(QUESTION, id="b", choices=("1", "2", "3", "4", "5"), answer=5, source="")
    data = FinetuneData(
        train=(QUESTION, QUESTION, five),
        validation=(),
        removed_overlaps=3,
        test=Exam(tmp_path, (), ""),
        usage={},
    )
    card = data_card(data, {"lengths": length_statistics((5, 9, 7))})
    assert card["rows"] == {"haedeun": 2, "the training file": 1}
    assert card["dropped"] == {"training questions: also in the test file": 3}
    assert card["answers"] == {"4": [0, 2, 0, 0], "5": [0, 0, 0, 0, 1]}
    assert card["tokens"]["median"] == card["tokens"]["mean"] == 7
    text = data_section(card)
    assert "| haedeun | 2 |" in text
    assert "longest 9" in text


def test_no_rows_have_no_lengths():
    assert length_statistics([]) == {}


def test_the_missions_recipe_is_planned_for_its_card(capsys):
    assert main(["plan", "--recipe", "qwen2.5-32b-v100", "--card", "v100"]) == 0
    out = capsys.readouterr().out
    assert "536870912 trainable parameters" in out
    assert "4096 tokens: fits" in out


def test_a_model_is_planned_by_name_with_a_card_of_so_many_gib():
    text = plan(None, "Qwen/Qwen2.5-7B-Instruct", "8", None)
    assert "of 8.0 GiB" in text
    assert "lora" in text


@pytest.mark.parametrize("card", ["v101", "-3", "nan"])
def test_an_unknown_card_is_refused_with_those_known(card):
    with pytest.raises(UserError, match="v100, v100-16, t4"):
        plan(None, "Qwen/Qwen2.5-7B-Instruct", card, None)


def test_recipe_or_model_but_not_both():
    with pytest.raises(UserError, match="either --recipe or --model"):
        plan("embedded", "x", None, None)


def test_auto_takes_the_longest_rows_that_fit_up_to_the_models_own(tmp_path, monkeypatch):
    from solution.finetune import memory
    from solution.models import GIB

    monkeypatch.chdir(tmp_path)
    read = create_tiny_model(
        read_recipe("tiny/colam-13b", None, None, ["train.max_seq_length=auto"])
    )

    def row_length():
        return plan_training(read, 1024, "float32")["row_length"]

    assert row_length() == 1024
    monkeypatch.setattr(memory, "device_memory", lambda hardware: 0.72 * GIB)
    short = row_length()
    assert 128 <= short < 1024
    monkeypatch.setattr(memory, "device_memory", lambda hardware: 0.5 * GIB)
    with pytest.raises(UserError, match="no row of 128 tokens fits"):
        row_length()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["data.instructions=[]"], "no training data"),
        (["method=full", "model.quantization=4bit"], "can't train quantized weights"),
        (["ia3.feedforward_modules=[lm_head]"], "not among target_modules"),
    ],
)
def test_recipes_that_contradict_themselves_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        load_config(resolve_config("recipes", "tiny/colam-13b"), Recipe, changes)


def test_an_overlay_changes_what_it_names_and_keeps_the_rest(tmp_path):
    below = tmp_path / "below.yaml"
    below.write_text(resolve_config("recipes", "colam-13b").read_text(encoding="utf-8"))
    above = tmp_path / "above.yaml"
    above.write_text("extends: below.yaml\ntrain:\n  epochs: 7\n")
    old, new = (load_config(path, Recipe) for path in (below, above))
    assert new.train.epochs == 7
    assert new.train.batch_size == old.train.batch_size
    assert new.data == old.data
    above.write_text("extends: [1]\n")
    with pytest.raises(UserError, match="expected the path"):
        load_config(above, Recipe)
