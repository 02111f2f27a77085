"""K folds: nobody answers what it was trained on; the mean adapter is the mean of all."""

import json

import pytest

from solution.cli import main
from solution.exam import content_hash, near_duplicate_groups, read_exam, split_folds
from solution.finetune.folds import merge_adapters
from solution.scoring import read_predictions, read_produced_by


@pytest.fixture(scope="module")
def folded(tiny_world, tmp_path_factory):
    """A finished run of two folds, made by the command."""
    world = tiny_world.copy(tmp_path_factory.mktemp("folds") / "world")
    more = ["--folds", "2", "--set", "train.epochs=1", "--set", "train.eval_steps=50"]
    process = world.start(*more)
    out, err = process.communicate(timeout=3000)
    assert process.returncode == 0, err
    world.out = out
    world.place = world.folder / "runs" / "finetune" / "tiny-2-folds"
    return world


def test_every_training_row_is_answered_by_the_adapter_that_did_not_see_it(folded):
    train = read_exam(folded.folder / "train.csv", answers=True).questions
    held = read_predictions(folded.place / "oof.parquet")
    assert {one.id for one in held} == {q.id for q in train}
    told = read_produced_by(folded.place / "oof.parquet")["trained_on"]
    fold = {row[1]: row[3] for row in told}
    for number in (0, 1):
        own = read_produced_by(folded.place / f"fold-{number}" / "held.parquet")["trained_on"]
        assert own and all(fold[row[1]] != number and row[3] is None for row in own)
        answered = {
            s.id: s for s in read_predictions(folded.place / f"fold-{number}/held.parquet")
        }
        assert set(answered) == {q.id for q in train if fold[content_hash(q)] == number}
        assert all(one == answered[one.id] for one in held if one.id in answered)


def test_the_folds_teach_weights_and_a_whole_adapter_does_not(folded, monkeypatch, capsys):
    monkeypatch.chdir(folded.folder)
    place = str(folded.place)
    command = ["submit", "ensemble", "--exam=test.csv", "--train=train.csv", "--weights=learn"]
    assert main([*command, "--", place, place]) == 0
    capsys.readouterr()
    held = f"{place}/fold-0/held.parquet"
    assert main([*command, f"--oof={held}", "--", place]) == 2


def test_the_mean_adapter_answers_like_the_average(folded):
    metrics = json.loads((folded.place / "metrics.json").read_text())
    assert len(metrics["folds"]) == 2
    assert metrics["merged_adapter"]["same_answer_as_average"] > 0.7
    assert (folded.folder / "submissions" / "tiny-2-folds" / "submission.csv").is_file()


def test_the_mean_adapter_is_the_mean_of_the_products(folded, tmp_path):
    from safetensors.torch import load_file

    adapters = [folded.place / f"fold-{number}" / "adapter" for number in (0, 1)]
    merge_adapters(adapters, tmp_path / "mean")

    def products(folder):
        weights = load_file(folder / "adapter_model.safetensors")
        config = json.loads((folder / "adapter_config.json").read_text())
        assert config["use_rslora"]
        scale = config["lora_alpha"] / config["r"] ** 0.5
        return {
            name: scale * weights[name.replace("lora_A", "lora_B")] @ weights[name]
            for name in weights
            if "lora_A" in name
        }

    one, two, mean = (products(folder) for folder in (*adapters, tmp_path / "mean"))
    for name, product in mean.items():
        assert product.allclose((one[name] + two[name]) / 2, atol=1e-6)


def test_folds_keep_passages_whole_and_their_sizes_alike(shared_data):
    questions = read_exam(shared_data / "competition" / "train.csv", answers=True).questions[
        :600
    ]
    folds, groups = split_folds(questions, 5, 0), near_duplicate_groups(questions)
    assert folds == split_folds(questions, 5, 0)
    assert len(set(zip(groups, folds, strict=True))) == len(set(groups))
    assert all(abs(folds.count(fold) - 120) < 15 for fold in range(5))


@pytest.mark.parametrize("folds", ["1", "0", "-3", "900"])
def test_folds_that_cannot_be_are_refused(tiny_world, monkeypatch, capsys, folds):
    monkeypatch.chdir(tiny_world.folder)
    assert main(["finetune", "--recipe", "recipe.yaml", f"--folds={folds}"]) == 2
    assert "expected 2 or more folds" in capsys.readouterr().err
    assert not (tiny_world.folder / "runs").exists()
