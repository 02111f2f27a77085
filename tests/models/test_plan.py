"""The memory plan against published counts, against autograd, and where it must refuse."""

import json

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
from solution.models.plan import kept_a_token

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
    (line,) = [line for line in plan.lines if line.item.startswith(item)]
    return line.amount


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

    from solution.models.geometry import _shipped

    config = AutoConfig.for_model(**_shipped("polyglot-ko-5.8b"))
    both = ["query_key_value", "dense_4h_to_h"]
    for adapter, expected in (
        (LoraConfig(r=8, target_modules=both[:1]), 3_670_016),
        (IA3Config(target_modules=both, feedforward_modules=both[1:]), 802_816),
    ):
        with torch.device("meta"):
            tuned = get_peft_model(AutoModelForCausalLM.from_config(config), adapter)
        trained = sum(p.numel() for p in tuned.parameters() if p.requires_grad)
        assert trained == expected


def test_the_32b_model_fits_a_v100_at_2048_tokens_as_its_users_measured(qwen32):
    plan = plan_memory(qwen32, QWEN32, 31.7 * GIB)
    assert plan.fits
    assert plan.longest >= 2048
    # A peer's peak at 2,048 tokens, rank 16, batch 1 on a V100: 22.3 to 24 GB.
    assert 0.9 * 22.3 < plan.total / GIB < 1.1 * 24
    assert trainable_parameters(qwen32, QWEN32) == 134_217_728
    assert amount(plan, "matrices (nf4)") == qwen32.linear / 2


def test_the_32b_model_at_rank_64_takes_what_another_peer_measured(qwen32):
    wide = FinetuneSpec(4096, batch=2, rank=64, targets=LINEAR, quantization="4bit")
    wide = plan_memory(qwen32, wide, 31.7 * GIB)
    small = FinetuneSpec(
        4096, 2, rank=64, targets=LINEAR, quantization="4bit", optimizer="adamw_8bit"
    )
    small = plan_memory(qwen32, small, 31.7 * GIB)
    assert small.total / GIB == pytest.approx(29.0, rel=0.1)
    assert wide.total > small.total + 2 * GIB  # float32 moments


def test_what_does_not_fit_is_said_with_the_longest_that_does(qwen32):
    plan = plan_memory(qwen32, QWEN32, 20 * GIB)
    assert not plan.fits
    assert plan.longest == 0
    assert "does not fit" in render(plan)
    assert "smaller model" in render(plan)


def test_the_longest_rows_fit_and_longer_ones_do_not(qwen32):
    from dataclasses import replace

    plan = plan_memory(qwen32, QWEN32, 24 * GIB)
    assert plan.longest
    assert plan_memory(qwen32, replace(QWEN32, length=plan.longest), 24 * GIB).fits
    assert not plan_memory(qwen32, replace(QWEN32, length=plan.longest + 64), 24 * GIB).fits


def test_each_checkpointing_mode_keeps_less_than_the_one_before(qwen32):
    from dataclasses import replace

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
def test_what_autograd_keeps_of_a_layer_is_what_the_plan_says(architecture, tmp_path):
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    path = tmp_path / "config.json"
    path.write_text(json.dumps(SHAPES[architecture] | {"model_type": architecture}))
    geometry = read_shape(ModelReference(model=str(path)))
    kept = {}
    tokens = 256
    for layers in (1, 3):
        shape = SHAPES[architecture] | {"num_hidden_layers": layers}
        config = AutoConfig.for_model(architecture, **shape)
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
    assert kept_a_token(geometry) == pytest.approx(a_layer, rel=0.15)


def test_full_tuning_counts_every_weight_in_float32(polyglot):
    plan = plan_memory(polyglot, FinetuneSpec(512, method="full"), 32 * GIB)
    count = trainable_parameters(polyglot, plan.tuning)
    assert amount(plan, "matrices") + amount(plan, "embedding") == 4 * count
    assert amount(plan, "adamw_torch") == 8 * count
    assert not plan.fits


def test_an_unknown_model_is_refused_with_those_known():
    with pytest.raises(UserError, match=r"Known without the hub: Qwen2\.5-32B"):
        read_shape(ModelReference(model="nobody/no-such-model"))


def test_a_config_that_is_none_is_refused(tmp_path):
    path = tmp_path / "config.json"
    path.write_text("{}")
    with pytest.raises(UserError, match=r"no config\.json of a model"):
        read_shape(ModelReference(model=str(path)))
