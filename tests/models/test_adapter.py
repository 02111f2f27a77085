"""Adapters: the right one changes the model, any other is refused."""

import json
import shutil

import pytest
from tiny import save_tiny, tiny_model, tiny_tokenizer

from solution.core import UserError
from solution.exam import Question, load_prompt
from solution.models import ModelReference, load, weights_fingerprint
from solution.models.adapter import core_name
from solution.scoring import evaluate


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("base") / "model", "qwen2")


@pytest.fixture(scope="module")
def adapter(base, tmp_path_factory):
    return save_adapter(tmp_path_factory.mktemp("adapter") / "lora", base)


def save_adapter(folder, base, **changes):
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base)
    settings = {"r": 2, "target_modules": ["q_proj", "down_proj"], "task_type": "CAUSAL_LM"}
    model = get_peft_model(model, LoraConfig(**settings | changes))
    torch.manual_seed(0)
    for weight in model.parameters():
        if weight.requires_grad:
            torch.nn.init.normal_(weight)
    model.save_pretrained(folder)
    return folder


def reference(base, adapter, **settings):
    return ModelReference(model=str(base), adapter=str(adapter), **settings)


def test_an_adapter_changes_the_model_and_is_not_trainable(base, adapter, capfd):
    import torch

    ids = torch.arange(20)[None]
    with torch.no_grad():
        plain = load(ModelReference(model=str(base))).model(input_ids=ids).logits
        capfd.readouterr()
        adapted = load(reference(base, adapter)).model
        assert (adapted(input_ids=ids).logits - plain).abs().max() > 0.1
    assert not adapted.training
    assert not any(weight.requires_grad for weight in adapted.parameters())
    assert capfd.readouterr() == ("", "")


def test_an_adapter_goes_on_a_four_bit_base(base, adapter):
    loaded = load(reference(base, adapter, quantization="4bit"))
    assert "lora_A" in dict(loaded.model.named_parameters()).__str__()


def test_trained_embeddings_and_heads_come_along(tmp_path):
    base = save_tiny(tmp_path / "base", "llama")
    adapter = save_adapter(tmp_path / "a", base, modules_to_save=["lm_head", "embed_tokens"])
    assert load(reference(base, adapter)).model is not None


@pytest.mark.parametrize(
    ("architecture", "changes"),
    [
        ("qwen2", {"hidden_size": 32}),
        ("qwen2", {"num_hidden_layers": 1}),
        ("qwen2", {"num_hidden_layers": 3}),
        ("llama", {}),
        ("gpt_neox", {}),
    ],
)
def test_an_adapter_for_another_base_is_refused(architecture, changes, adapter, tmp_path):
    other = save_tiny(tmp_path / "other", architecture, **changes)
    with pytest.raises(UserError, match=r"does not fit this model .*made for"):
        load(reference(other, adapter))


def test_pickle_adapters_are_refused(base, adapter, tmp_path):
    copied = shutil.copytree(adapter, tmp_path / "copy")
    (copied / "adapter_model.safetensors").rename(copied / "adapter_model.bin")
    with pytest.raises(UserError, match=r"adapter_model\.bin.*not loaded"):
        load(reference(base, copied))


def test_a_damaged_adapter_is_named(base, adapter, tmp_path):
    copied = shutil.copytree(adapter, tmp_path / "copy")
    (copied / "adapter_model.safetensors").write_bytes(b"short")
    with pytest.raises(UserError, match="damaged"):
        load(reference(base, copied))


def test_a_folder_that_is_no_adapter_is_named(base, tmp_path):
    with pytest.raises(UserError, match=r"no adapter_config\.json"):
        load(reference(base, base))
    (tmp_path / "adapter_config.json").write_text("{")
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match="not valid JSON"):
        load(reference(base, tmp_path))
    with pytest.raises(UserError, match=r"adapter nobody/nothing: .*not on this machine"):
        load(reference(base, "nobody/nothing"))
    with pytest.raises(UserError, match="no such folder"):
        load(reference(base, tmp_path / "nowhere"))


def test_an_adapter_of_an_unknown_kind_is_named(base, adapter, tmp_path):
    copied = shutil.copytree(adapter, tmp_path / "copy")
    settings = json.loads((copied / "adapter_config.json").read_text())
    (copied / "adapter_config.json").write_text(json.dumps(settings | {"peft_type": "NEW"}))
    with pytest.raises(UserError, match="adapter"):
        load(reference(base, copied))


def test_the_adapter_is_part_of_the_fingerprint(base, adapter):
    plain = weights_fingerprint(ModelReference(model=str(base)))
    both = weights_fingerprint(reference(base, adapter))
    assert plain.items() < both.items()
    assert "adapter/adapter_model.safetensors" in both


def test_tiny_models_differ_by_seed():
    tokenizer = tiny_tokenizer()
    one, two = (next(tiny_model("qwen2", tokenizer, seed).parameters()) for seed in (0, 1))
    assert not one.equal(two)


def test_a_tokenizer_beside_the_adapter_is_used_and_what_differs_is_said(
    base, adapter, tmp_path, capfd
):
    from transformers import AutoTokenizer

    copied = shutil.copytree(adapter, tmp_path / "copy")
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.chat_template = "{% for m in messages %}<{{ m.content }}>{% endfor %}"
    tokenizer.save_pretrained(copied)
    loaded = load(reference(base, copied))
    assert loaded.chat.render([{"role": "user", "content": "a"}]).text == "<a><"
    assert "its own tokenizer is used: another chat template." in capfd.readouterr().err
    # A template alone is taken too; the same tokenizer is not worth a word.
    for file in copied.glob("tokenizer*"):
        file.unlink()
    (copied / "chat_template.jinja").write_text(
        "{% for m in messages %}[{{ m.content }}]{% endfor %}"
    )
    assert load(reference(base, copied)).tokenizer.chat_template.startswith(
        "{% for m in messages %}["
    )


def test_added_tokens_need_embeddings_where_the_template_writes_them(base, tmp_path, capfd):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.add_tokens(["<|new|>", "<|other|>"], special_tokens=True)
    rows = AutoModelForCausalLM.from_pretrained(base).config.vocab_size
    assert len(tokenizer) > rows  # else nothing is tested
    adapter = save_adapter(tmp_path / "a", base)
    tokenizer.save_pretrained(adapter)
    loaded = load(reference(base, adapter))
    said = capfd.readouterr().err
    assert "2 added tokens (<|new|>, <|other|>)" in said
    assert "no embedding for 2 of its tokens" in said
    question = Question(id="q", paragraph="", question="a?", choices=("1", "2", "3", "4"))
    prompt = load_prompt("embedded")
    evaluate(loaded, [question], prompt)
    tokenizer.chat_template = "{% for m in messages %}<|new|>{{ m.content }}{% endfor %}"
    tokenizer.save_pretrained(adapter)
    with pytest.raises(UserError, match=r"question q: the tokenizer writes <\|new\|>"):
        evaluate(load(reference(base, adapter)), [question], prompt)


def test_embeddings_that_an_adapter_brings_resize_the_model(base, tmp_path):
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base)
    rows = model.config.vocab_size + 2
    model.resize_token_embeddings(rows)
    model = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"]))
    model.save_pretrained(tmp_path / "a", save_embedding_layers=True)
    loaded = load(reference(base, tmp_path / "a"))
    found = loaded.model.get_input_embeddings().weight
    assert found.shape[0] == rows
    assert torch.equal(found, model.get_input_embeddings().weight)


def test_an_adapter_on_other_weights_of_the_same_shape_is_refused(base, tmp_path, capfd):
    from transformers import AutoModelForCausalLM

    adapter = save_adapter(tmp_path / "a", base)
    other = shutil.copytree(base, tmp_path / "other")
    model = AutoModelForCausalLM.from_pretrained(base)
    model.model.norm.weight.data += 1
    model.save_pretrained(other)
    with pytest.raises(UserError, match=r"the weights of .* are others"):
        load(reference(other, adapter))
    # Where only a name is recorded, another name of the hub is refused, a folder is not known.
    settings = json.loads((adapter / "adapter_config.json").read_text())
    settings["base_model_name_or_path"] = "org/Model-7B"
    (adapter / "adapter_config.json").write_text(json.dumps(settings))
    load(reference(base, adapter))
    assert "made for org/Model-7B" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("unsloth/Qwen2.5-32B-Instruct-bnb-4bit", "Qwen/Qwen2.5-32B-Instruct"),
        ("unsloth/Meta-Llama-3.1-8B-unsloth-bnb-4bit", "meta-llama/Llama-3.1-8B"),
        ("models--Qwen--Qwen3-8B/snapshots/0123", "Qwen/Qwen3-8B-AWQ"),
        ("/models/Qwen2.5-7B", "Qwen/Qwen2.5-7B"),
    ],
)
def test_forms_of_one_model_have_one_name(one, other):
    assert core_name(one) == core_name(other) != core_name("Qwen/Qwen2.5-7B-Instruct")
