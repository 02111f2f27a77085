"""`predict` with an adapter: the model that was measured is the model that answers."""

import json

import pytest
import yaml

from solution.core import UserError
from solution.submit.predict import model_and_prompt


@pytest.fixture
def adapter(tmp_path):
    folder = tmp_path / "run" / "adapter"
    folder.mkdir(parents=True)
    (folder / "adapter_model.safetensors").write_bytes(b"")
    settings = {"peft_type": "LORA", "base_model_name_or_path": "org/base-bnb-4bit"}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    return folder


def write_run(adapter, **model):
    recipe = {"name": "r", "prompt": "embedded", "model": {"model": "org/base", **model}}
    prompt = {"name": "own", "user": {"question": "$question $choices"}}
    text = yaml.safe_dump({"recipe": recipe, "prompt": prompt})
    (adapter.parent / "config.yaml").write_text(text)


def test_the_run_of_an_adapter_says_how_it_is_loaded_and_asked(adapter, capfd):
    write_run(adapter, quantization="4bit", dtype="float16", chat_template={"think": False})
    reference, prompt = model_and_prompt(None, adapter, None, [])
    assert reference.model == "org/base"
    assert reference.adapter == str(adapter)
    assert (reference.quantization, reference.dtype) == ("4bit", "float16")
    assert reference.chat_template == {"think": False}
    assert prompt.name == "own"
    assert "as in its run, org/base with quantization 4bit" in capfd.readouterr().err


def test_what_is_given_replaces_what_the_run_says(adapter):
    write_run(adapter, quantization="4bit", revision="abc")
    reference, prompt = model_and_prompt(
        "org/other", adapter, "contest", ["quantization=none", "chat_template.think=true"]
    )
    assert (reference.model, reference.revision) == ("org/other", None)
    assert reference.quantization == "none"
    assert reference.chat_template == {"think": True}
    assert prompt.name == "contest"


def test_without_a_run_the_adapter_names_its_base(adapter, capfd):
    reference, prompt = model_and_prompt(None, adapter, None, [])
    assert (reference.model, prompt.name) == ("org/base-bnb-4bit", "contest")
    assert capfd.readouterr().err == ""
    with pytest.raises(UserError, match="--model: missing"):
        model_and_prompt(None, None, None, [])
    with pytest.raises(UserError, match="quantisation: unknown key; did you mean"):
        model_and_prompt("m", None, None, ["quantisation=4bit"])
