"""LoRA with the default targets trains three steps of twenty random-weight architectures."""

import json

import pytest
from tiny import QWEN, tiny_tokenizer

from solution.exam import load_prompt
from solution.finetune import train as training
from solution.finetune.data import load_data
from solution.finetune.peft_model import resolve_targets
from solution.finetune.recipe import read_recipe

HEADS = QWEN | {"head_dim": 8}
EXPERTS = HEADS | {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
LINEAR = {
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
}
HYBRID = ["linear_attention", "full_attention"]
NEOX = {key: value for key, value in QWEN.items() if key != "num_key_value_heads"}
GPT2 = {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 1024}
MAMBA = {
    "layer_types": ["mamba", "attention"],
    "mamba_n_heads": 4,
    "mamba_d_head": 8,
    "mamba_d_state": 8,
    "num_local_experts": 0,
    "time_step_limit": [0.0, 1e9],  # infinity is saved in a form that is not read again
    "shared_intermediate_size": 32,
}
ARCHITECTURES = {
    "qwen2": QWEN,
    "qwen3": HEADS,
    "qwen3_moe": EXPERTS,
    "qwen3_5_text": HEADS | LINEAR | {"layer_types": HYBRID},
    "gemma2": HEADS | {"sliding_window": 16},
    "gemma3_text": HEADS | {"sliding_window": 16},
    "llama": QWEN | {"tie_word_embeddings": True},
    "llama untied": QWEN | {"tie_word_embeddings": False},
    "mistral": HEADS,
    "phi3": QWEN,
    "gpt_neox": NEOX,
    "gpt2": GPT2,
    "exaone4": HEADS,
    "hyperclovax": QWEN,
    "cohere2": HEADS,
    "glm4": HEADS | {"partial_rotary_factor": 0.5},
    "olmo2": QWEN,
    "lfm2": QWEN | {"layer_types": ["conv", "full_attention"]},
    "gpt_oss": EXPERTS | {"num_local_experts": 4},
    "granitemoehybrid": QWEN | MAMBA,
}
# What is no linear layer there: the experts' weights are one tensor.
FUSED = {"qwen3_moe", "gpt_oss"}


def save(name, folder):
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    tokenizer = tiny_tokenizer()
    settings = {
        "vocab_size": len(tokenizer),
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": None,
    }
    torch.manual_seed(0)
    architecture = name.partition(" ")[0]
    config = AutoConfig.for_model(architecture, **settings | ARCHITECTURES[name])
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_three_steps_start_and_end(name, tmp_path, monkeypatch, capfd):
    import unsloth  # noqa: F401  (before what it patches)

    save(name, tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    changes = [
        f"model.model={tmp_path / 'model'}",
        "model.dtype=float32",
        "model.max_length=512",
        "data.validation_fraction=0",
        "train.max_steps=3",
        "train.batch_size=4",
        "train.gradient_accumulation_steps=1",
        "lora={r: 2, alpha: 4}",
    ]
    recipe = resolve_targets(read_recipe("embedded", None, None, changes))
    assert ("are no linear layers" in capfd.readouterr().err) == (name in FUSED)
    prompt, data = load_prompt("embedded"), load_data(recipe.data)
    training.train_adapter(tmp_path, recipe, data, prompt, max_length=512, dtype="float32")
    facts = json.loads((tmp_path / "adapter" / "training.json").read_text(encoding="utf-8"))
    assert facts["steps"] == 3
    assert facts["trainable_parameters"] > 0
