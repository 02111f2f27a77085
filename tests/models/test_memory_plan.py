"""The memory table against published counts, loaded weights, PEFT and autograd."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from solution.core import UserError
from solution.models import (
    GIB,
    FinetuneSpec,
    ModelReference,
    plan_memory,
    read_shape,
    render,
    trainable_parameters,
)
from solution.models import shape as shape_module
from solution.models.memory_plan import activations_per_token, weight_bytes

LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
QWEN32 = FinetuneSpec(2048, targets=LINEAR, quantization="4bit", optimizer="adamw_8bit")
SHAPE = {
    "vocab_size": 64,
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 512,
    "tie_word_embeddings": False,
}
SHAPES = {
    "llama": SHAPE | {"num_key_value_heads": 4},
    "qwen2": SHAPE | {"num_key_value_heads": 2},
    "gpt_neox": SHAPE,
}


@pytest.fixture(scope="module")
def qwen32():
    return read_shape(ModelReference(model="unsloth/Qwen2.5-32B-Instruct-bnb-4bit"))


@pytest.fixture(scope="module")
def polyglot():
    return read_shape(ModelReference(model="EleutherAI/polyglot-ko-5.8b"))


def amount(plan, item):
    (found,) = [one for one in plan.items if one.name.startswith(item)]
    return found.amount


def test_polyglot_has_the_studies_trainable_parameters(polyglot):
    lora = FinetuneSpec(1024, rank=8, targets=("query_key_value",))
    both = ("query_key_value", "dense_4h_to_h")
    ia3 = FinetuneSpec(1024, method="ia3", targets=both, feedforward=("dense_4h_to_h",))
    assert trainable_parameters(polyglot, lora) == 3_670_016
    assert trainable_parameters(polyglot, ia3) == 802_816


def test_peft_counts_the_same_on_the_meta_device(polyglot):
    import torch
    from peft import IA3Config, LoraConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(**shape_module._known_model("polyglot-ko-5.8b"))
    both = ["query_key_value", "dense_4h_to_h"]
    for adapter, expected in (
        (LoraConfig(r=8, target_modules=both[:1]), 3_670_016),
        (IA3Config(target_modules=both, feedforward_modules=both[1:]), 802_816),
    ):
        with torch.device("meta"):
            tuned = get_peft_model(AutoModelForCausalLM.from_config(config), adapter)
        trained = sum(p.numel() for p in tuned.parameters() if p.requires_grad)
        assert trained == expected


def test_the_32b_model_fits_a_v100_at_2048_tokens_as_measured_by_others(qwen32):
    plan = plan_memory(qwen32, QWEN32, 31.7 * GIB)
    assert plan.fits
    assert plan.longest >= 2048
    # A published peak at 2,048 tokens, rank 16, batch 1 on a V100: 22.3 to 24 GB.
    assert 0.9 * 22.3 < plan.total / GIB < 1.1 * 24
    assert trainable_parameters(qwen32, QWEN32) == 134_217_728
    assert amount(plan, "matrices (nf4)") == qwen32.linear / 2


def test_the_32b_model_at_rank_64_agrees_with_a_measured_peak(qwen32):
    wide = FinetuneSpec(4096, batch=2, rank=64, targets=LINEAR, quantization="4bit")
    wide = plan_memory(qwen32, wide, 31.7 * GIB)
    small = FinetuneSpec(
        4096, 2, rank=64, targets=LINEAR, quantization="4bit", optimizer="adamw_8bit"
    )
    small = plan_memory(qwen32, small, 31.7 * GIB)
    assert small.total / GIB == pytest.approx(29.0, rel=0.1)
    assert wide.total > small.total + 2 * GIB  # float32 moments


def test_a_plan_that_does_not_fit(qwen32):
    plan = plan_memory(qwen32, QWEN32, 20 * GIB)
    assert not plan.fits
    assert plan.longest == 0
    assert "does not fit" in render(plan)
    assert "smaller model" in render(plan)


def test_the_longest_rows_fit_and_longer_ones_do_not(qwen32):
    plan = plan_memory(qwen32, QWEN32, 24 * GIB)
    assert plan.longest
    assert plan_memory(qwen32, replace(QWEN32, length=plan.longest), 24 * GIB).fits
    assert not plan_memory(qwen32, replace(QWEN32, length=plan.longest + 64), 24 * GIB).fits


def test_each_checkpointing_mode_saves_less_than_the_one_before(qwen32):
    totals = [
        plan_memory(qwen32, replace(QWEN32, checkpointing=mode), 80 * GIB).total
        for mode in (False, True, "unsloth")
    ]
    assert totals == sorted(totals, reverse=True)
    assert totals[0] > 2 * totals[1]


def test_the_table_adds_up_and_shows_its_arithmetic(qwen32):
    plan = plan_memory(qwen32, QWEN32, 32 * GIB)
    text = render(plan)
    assert f"{plan.total / GIB:.2f}" in text
    assert "31.206 B × 0.5 B" in text
    assert "2048 tokens: fits" in text


@pytest.mark.parametrize("architecture", SHAPES)
def test_activations_are_what_autograd_saves(architecture, tmp_path):
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    path = tmp_path / "config.json"
    path.write_text(json.dumps(SHAPES[architecture] | {"model_type": architecture}))
    shape = read_shape(ModelReference(model=str(path)))
    kept = {}
    tokens = 256
    for layers in (1, 3):
        settings = SHAPES[architecture] | {"num_hidden_layers": layers}
        config = AutoConfig.for_model(architecture, **settings)
        model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")
        weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
        stores = {}

        def pack(tensor, weights=weights, stores=stores):
            store = tensor.untyped_storage()
            if store.data_ptr() not in weights:
                stores[store.data_ptr()] = store.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            hidden = model.base_model(torch.zeros(1, tokens, dtype=torch.long))
        kept[layers] = sum(stores.values())
        del hidden
    a_layer = (kept[3] - kept[1]) / 2 / 4 / tokens
    assert activations_per_token(shape) == pytest.approx(a_layer, rel=0.15)


KNOWN = [entry["names"][0] for entry in shape_module._known_models()]


@pytest.mark.parametrize("name", KNOWN)
def test_the_formula_counts_what_the_modules_have(name):
    from transformers import AutoConfig

    reference = ModelReference(model=name)
    config = AutoConfig.for_model(**shape_module._known_model(name))
    assert shape_module._count_by_formula(config) == shape_module._count_modules(
        config, reference
    )


@pytest.mark.parametrize("change", [{"attention_bias": True}, {"model_type": "olmo"}])
def test_other_architectures_are_counted_from_their_modules(tmp_path, change):
    path = tmp_path / "config.json"
    values = SHAPE | {"model_type": "llama", "num_key_value_heads": 4} | change
    path.write_text(json.dumps(values))
    shape = read_shape(ModelReference(model=str(path)))
    assert shape.linear == 2 * (4 * 64 * 64 + 3 * 64 * 160)
    assert shape.head == 2 * 64 * 64
    assert shape.rest == {"llama": 5 * 64 + 2 * 4 * 64, "olmo": 0}[values["model_type"]]


def test_a_shape_is_read_without_importing_torch():
    code = (
        "import sys; from solution.models import ModelReference, read_shape\n"
        "read_shape(ModelReference(model='Qwen2.5-32B'))\n"
        "print([m for m in ('torch', 'transformers', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize(
    ("settings", "size"), [({}, 2.0), ({"bits": 3}, 3 / 8), ({"load_in_4bit": True}, 0.515869)]
)
def test_a_quantised_checkpoint_keeps_its_bits(tmp_path, settings, size):
    path = tmp_path / "config.json"
    values = SHAPES["llama"] | {"model_type": "llama", "quantization_config": settings}
    path.write_text(json.dumps(values))
    shape = read_shape(ModelReference(model=str(path)))
    other = 2 * (shape.head + shape.rest)
    found = weight_bytes(shape, "none", "float16") - other
    assert found == pytest.approx(shape.linear * size, rel=1e-5)


def test_full_tuning_counts_every_weight_in_float32(polyglot):
    plan = plan_memory(polyglot, FinetuneSpec(512, method="full"), 32 * GIB)
    count = trainable_parameters(polyglot, plan.spec)
    assert amount(plan, "matrices") + amount(plan, "embedding") == 4 * count
    assert amount(plan, "adamw_torch") == 8 * count
    assert not plan.fits


def test_an_unknown_model_lists_the_known_ones():
    with pytest.raises(UserError, match=r"Known without the hub: Qwen2\.5-32B"):
        read_shape(ModelReference(model="nobody/no-such-model"))


def test_an_invalid_config_is_an_error(tmp_path):
    path = tmp_path / "config.json"
    path.write_text("{}")
    with pytest.raises(UserError, match=r"not the config\.json of a model"):
        read_shape(ModelReference(model=str(path)))
