"""Every shipped recipe in miniature: trained, saved, loaded again and ranked on the CPU."""

import csv
import json
from pathlib import Path

import pytest
import yaml

from solution.core import load_config, resolve_path
from solution.exam import load_prompt, read_exam, write_exam
from solution.explore import explore, run_candidates, worker
from solution.finetune.data import load_data
from solution.finetune.peft_model import resolve_targets, tuned_reference
from solution.finetune.recipe import LEARNING_RATES, Recipe, create_tiny_model, read_recipe
from solution.models import ChatTemplate, load
from solution.scoring import encode, evaluate, score_model

RECIPES = Path(__file__).resolve().parents[2] / "solution" / "recipes"
STUDIES = sorted(
    path.stem for path in RECIPES.glob("*.yaml") if not path.stem.startswith("embedded")
)
VARIANTS = {
    "dora": ("qwen2.5-14b", ["lora.use_dora=true"]),
    "rslora": ("colam-13b", ["lora.use_rslora=true"]),
    "full": ("cot-llama2-2k-7b", ["method=full"]),
    "gemma2": ("qwen2.5-14b", ["tiny=gemma2"]),
}
CASES = {name: (name, list[str]()) for name in STUDIES} | VARIANTS


def train(name, changes, folder, monkeypatch):
    """Train a tiny recipe in `folder`; give it, its material, and logits of the live model."""
    import unsloth  # noqa: F401  (before what it patches)

    from solution.finetune import train as training
    from solution.finetune import trainer

    monkeypatch.chdir(folder)
    recipe = create_tiny_model(read_recipe(f"tiny/{name}", None, None, changes))
    recipe = resolve_targets(recipe)
    prompt = load_prompt(recipe.prompt)
    data = load_data(recipe.data)
    some = read_exam(resolve_path("data/embedded/train.csv"), answers=True).questions[:6]
    live = []
    keep = trainer.make_trainer

    def watched(recipe, model, tokenizer, rows, **more):
        made = keep(recipe, model, tokenizer, rows, **more)
        learn = made.train

        def train_and_score(**options):
            learn(**options)
            model.eval()
            held = encode(some, prompt, ChatTemplate(tokenizer, "m"), 512)
            live.extend(score_model(model, held, 4096))

        made.train = train_and_score
        return made

    monkeypatch.setattr(trainer, "make_trainer", watched)
    training.train_adapter(folder, recipe, data, prompt, max_length=512, dtype="float32")
    return recipe, prompt, some, live


def ranked(tuned, prompt, some, folder, monkeypatch):
    """`explore`'s leaderboard of what was tuned, by what it makes of it: a row a name."""

    def here(_, job):  # avoids a process
        with job.log.open("a", encoding="utf-8") as stream:
            return worker.attempt(job, stream)

    monkeypatch.setattr(run_candidates.Workers, "run", here)
    write_exam(folder / "exam.csv", some)
    model = tuned.model_dump(exclude_none=True) | {"max_length": 512}
    suite = {
        "name": "tuned",
        "prompt": prompt,
        "exams": [{"name": "few", "exam": "exam.csv"}],
        "candidates": [{"name": "tuned", **model}],
    }
    (folder / "suite.yaml").write_text(yaml.safe_dump(suite), encoding="utf-8")
    explore("suite.yaml", None, None, None, [])
    board = folder / "runs" / "explore" / "tuned" / "leaderboard.csv"
    with board.open(encoding="utf-8") as stream:
        return {row["model"]: row for row in csv.DictReader(stream)}


@pytest.mark.parametrize("case", CASES)
def test_a_tiny_recipe_trains_saves_reloads_and_is_ranked(case, tmp_path, monkeypatch):
    name, changes = CASES[case]
    # The last step is what is kept: nothing is held out to choose another.
    changes = [*changes, "data.validation_fraction=0"]
    recipe, prompt, some, live = train(name, changes, tmp_path, monkeypatch)
    adapter = tmp_path / "adapter"
    facts = json.loads((adapter / "training.json").read_text(encoding="utf-8"))
    losses = [entry["loss"] for entry in facts["loss"]]
    assert sum(losses[-3:]) < sum(losses[:3])
    assert facts["trainable_parameters"] > 0
    assert facts["training_minutes"] == pytest.approx(facts["training_seconds"] / 60, abs=0.01)
    tuned = tuned_reference(recipe, adapter)
    loaded = load(tuned)
    scored, _ = evaluate(loaded, some, prompt)
    for ours, theirs in zip(scored, live, strict=True):
        assert ours.log_likelihood == pytest.approx(theirs.log_likelihood, abs=2e-4)
    row = ranked(tuned, recipe.prompt, some, tmp_path, monkeypatch)["tuned"]
    right = [one.answer == question.answer for one, question in zip(scored, some, strict=True)]
    assert float(row["accuracy"]) == pytest.approx(sum(right) / len(some), abs=1e-4)


@pytest.mark.parametrize("name", STUDIES)
def test_a_recipe_says_in_its_header_what_the_study_did(name):
    text = (RECIPES / f"{name}.yaml").read_text(encoding="utf-8")
    header = text.partition("\nname:")[0]
    assert f"--recipe {name}" in header
    recipe = load_config(RECIPES / f"{name}.yaml", Recipe)
    tiny = load_config(RECIPES / "tiny" / f"{name}.yaml", Recipe)
    assert recipe.name == name
    assert tiny.method == recipe.method
    assert tiny.lora.target_modules == recipe.lora.target_modules
    assert tiny.ia3 == recipe.ia3
    templates = [told.template for told in recipe.data.instructions]
    assert [told.template for told in tiny.data.instructions] == templates


@pytest.mark.parametrize(
    ("changes", "rate"),
    [
        ([], LEARNING_RATES["lora"]),
        (["lora.use_rslora=true"], LEARNING_RATES["use_rslora"]),
        (["lora.use_dora=true"], LEARNING_RATES["use_dora"]),
        (["method=ia3"], LEARNING_RATES["ia3"]),
        (["method=full", "model.quantization=none"], LEARNING_RATES["full"]),
        (["method=ia3", "train.learning_rate=0.5"], 0.5),
    ],
)
def test_each_method_has_its_own_learning_rate_unless_one_is_named(changes, rate):
    recipe = load_config(RECIPES / "colam-13b.yaml", Recipe, changes)
    assert recipe.train.learning_rate == rate


def test_the_learning_rate_of_ia3_is_ten_to_fifty_times_that_of_lora():
    assert 10 <= LEARNING_RATES["ia3"] / LEARNING_RATES["lora"] <= 50


def test_the_embedded_instruction_sets_are_where_the_recipes_look():
    for path in (RECIPES / "tiny").glob("*.yaml"):
        recipe = load_config(path, Recipe)
        assert all(resolve_path(told.source).is_file() for told in recipe.data.instructions)
