"""Export: a merged run scores as before; errors; private and public repositories."""

from types import SimpleNamespace

import pytest
import yaml

from solution.core import UserError
from solution.exam import load_prompt, read_exam
from solution.finetune import gguf, merge, push
from solution.models import ModelReference, load, make_tiny
from solution.scoring import evaluate


@pytest.fixture
def run(tmp_path):
    """A finished run with a LoRA adapter that changes the scores."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base = make_tiny("llama", tmp_path / "base")
    torch.manual_seed(3)
    config = LoraConfig(r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
    folder = tmp_path / "run"
    model.save_pretrained(folder / "adapter")
    (folder / "adapter" / "README.md").write_text("card")
    recipe = {"model": {"model": str(base), "dtype": "float32"}}
    (folder / "config.yaml").write_text(yaml.safe_dump({"recipe": recipe}))
    return folder


def answers(reference, embedded):
    questions = read_exam(embedded / "test.csv").questions[:12]
    scored, _ = evaluate(load(reference), questions, load_prompt("embedded"))
    return [one.log_likelihood for one in scored]


def test_the_merged_model_answers_as_base_and_adapter_do(run, tmp_path, embedded):
    merged = tmp_path / "merged"
    merge(run, merged)
    base = str(tmp_path / "base")
    plain = answers(ModelReference(model=base, dtype="float32"), embedded)
    both = answers(
        ModelReference(model=base, dtype="float32", adapter=str(run / "adapter")), embedded
    )
    alone = answers(ModelReference(model=str(merged), dtype="float32"), embedded)
    for ours, theirs, before in zip(alone, both, plain, strict=True):
        assert ours == pytest.approx(theirs, abs=0.02)  # float16 weights
        assert ours != pytest.approx(before, abs=0.02)
    assert (merged / "README.md").read_text() == "card"
    with pytest.raises(UserError, match="exists"):
        merge(run, merged)


def test_merging_quantised_weights_says_how_many_answers_change(run, tmp_path, embedded):
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["recipe"]["model"]["quantization"] = "4bit"
    config["recipe"]["prompt"] = "embedded"
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    said = merge(run, tmp_path / "merged")
    questions = read_exam(embedded / "test.csv").questions[:64]
    tuned = config["recipe"]["model"] | {"adapter": str(run / "adapter")}
    both = [
        [one.answer for one in evaluate(load(reference), questions, load_prompt("embedded"))[0]]
        for reference in (
            ModelReference.model_validate(tuned),
            ModelReference(model=str(tmp_path / "merged")),
        )
    ]
    changed = sum(one != other for one, other in zip(*both, strict=True))
    assert f"tuned on 4bit weights: {changed} of 64 answers to test.csv are others" in said


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(UserError, match="not a finished fine-tuning"):
        merge(tmp_path, tmp_path / "out")


def test_gguf_reports_what_is_missing_and_the_converters_message(run, tmp_path):
    model, out = tmp_path / "base", tmp_path / "m.gguf"
    with pytest.raises(UserError, match="expected one of f16"):
        gguf(model, out, "q3", None)
    with pytest.raises(UserError, match="export merge"):
        gguf(run / "adapter", out, "f16", None)
    with pytest.raises(UserError, match="Clone"):
        gguf(model, out, "f16", tmp_path)
    (tmp_path / "convert_hf_to_gguf.py").write_text("raise SystemExit('unknown architecture')")
    with pytest.raises(UserError, match="unknown architecture"):
        gguf(model, out, "f16", tmp_path)
    assert not out.exists()


def test_nothing_is_pushed_without_a_connection(run, monkeypatch):
    from solution.finetune import export

    monkeypatch.setattr(export, "hub_reachable", lambda: False)
    with pytest.raises(UserError, match="not reachable"):
        push(run, "someone/adapter")


@pytest.fixture
def hub(monkeypatch):
    """A Hub with one public repository, `someone/public`; yields the calls it received."""
    import huggingface_hub

    from solution.finetune import export

    calls = []

    class Client:
        def create_repo(self, name, **options):
            calls.append((name, options))

        def repo_info(self, name):
            return SimpleNamespace(private=name != "someone/public" and calls[0][1]["private"])

        def upload_folder(self, **options):
            calls.append(options)

    monkeypatch.setattr(export, "hub_reachable", lambda: True)
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: "t")
    monkeypatch.setattr(huggingface_hub, "HfApi", Client)
    return calls


def test_the_adapter_is_pushed_to_a_private_repository(run, hub):
    assert push(run, "someone/adapter").endswith("private")
    assert hub[0] == ("someone/adapter", {"private": True, "exist_ok": True})
    assert hub[1]["folder_path"] == run / "adapter"
    assert "*.safetensors" in hub[1]["allow_patterns"]


def test_an_existing_public_repository_is_refused_without_public(run, hub):
    with pytest.raises(UserError, match=r"exists and is public.*--public"):
        push(run, "someone/public")
    assert len(hub) == 1  # nothing was uploaded


def test_public_is_explicit(run, hub):
    assert push(run, "someone/public", public=True).endswith("public")
    assert push(run, "someone/new", public=True).endswith("public")
