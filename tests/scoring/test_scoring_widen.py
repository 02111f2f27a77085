"""16-bit weights are multiplied in float32 where that is faster: the numbers are float32's."""

import copy
from types import SimpleNamespace

import pytest
from reference import some_questions
from test_scoring_engine import PLAIN, STYLES
from tiny import save_tiny, tiny_model, tiny_tokenizer

from solution.models import ModelReference, load
from solution.scoring import TokenCounts, encode, score, score_model, widen
from solution.scoring.reader import reader_of


@pytest.fixture(autouse=True)
def slow_in_16_bit(monkeypatch):
    """A processor without units for bfloat16, whatever runs the tests."""
    monkeypatch.setattr(widen, "detect", lambda: SimpleNamespace(bfloat16=False))


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizer()


def narrow_and_wide(architecture, dtype, tokenizer):
    import torch

    model = tiny_model(architecture, tokenizer).to(getattr(torch, dtype))
    return model, copy.deepcopy(model).float()


def dtypes(model):
    return {str(weight.dtype) for weight in model.parameters()}


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("architecture", ["qwen2", "llama", "gemma2", "gpt_neox"])
def test_16_bit_weights_score_as_the_same_weights_in_float32(architecture, dtype, tokenizer):
    narrow, wide = narrow_and_wide(architecture, dtype, tokenizer)
    own = [weight.clone() for weight in narrow.parameters()]
    for style in ("digits", "brackets"):
        encoded = encode(some_questions(), STYLES[style], tokenizer, 1024)
        found, expected = score_model(narrow, encoded, 500), score_model(wide, encoded, 500)
        for one, other in zip(found, expected, strict=True):
            assert one.log_likelihood == pytest.approx(other.log_likelihood, abs=1e-5)
    assert dtypes(narrow) == {f"torch.{dtype}"}
    assert all((a == b).all() for a, b in zip(own, narrow.parameters(), strict=True))


@pytest.mark.parametrize("reason", ["units", "packed", "float32"])
def test_it_is_left_to_the_model_where_that_is_better(reason, tokenizer, tmp_path, monkeypatch):
    import torch

    ids = torch.tensor([[3, 4, 5, 6]])
    dtype = "float32" if reason == "float32" else "bfloat16"
    model, _ = narrow_and_wide("qwen2", dtype, tokenizer)
    if reason == "units":
        fast = SimpleNamespace(bfloat16=True)
        monkeypatch.setattr(widen, "detect", lambda: fast)
    elif reason == "packed":
        folder = str(save_tiny(tmp_path / "m"))
        model = load(ModelReference(model=folder, dtype=dtype, quantization="4bit")).model
    with torch.no_grad():
        reader = reader_of(model, ids)
    assert (reader.by_rows, reader.wide, reader.dtype) == (True, False, f"torch.{dtype}")


def test_a_model_that_does_not_bear_float32_computes_as_it_is(tokenizer):
    import torch

    model, _ = narrow_and_wide("llama", "bfloat16", tokenizer)

    def strict(_module, given):
        assert given[0].dtype == torch.bfloat16

    model.model.layers[1].register_forward_pre_hook(strict)
    encoded = encode(some_questions(3), PLAIN, tokenizer, 1024)
    assert len(score_model(model, encoded)) == 3
    with torch.no_grad():
        assert not reader_of(model, torch.tensor([[3, 4]])).wide
    assert dtypes(model) == {"torch.bfloat16"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_weights_are_back_after_an_interruption(error, tokenizer):
    model, _ = narrow_and_wide("llama", "bfloat16", tokenizer)
    encoded = encode(some_questions(3), PLAIN, tokenizer, 1024)
    before = score_model(model, encoded)

    def stop(*_):
        raise error

    with (
        model.model.layers[1].mlp.register_forward_pre_hook(stop),
        pytest.raises(error),
    ):
        score_model(model, encoded)
    assert dtypes(model) == {"torch.bfloat16"}
    assert score_model(model, encoded) == before


def test_an_adapter_takes_part(tokenizer):
    import torch
    from peft import LoraConfig, get_peft_model

    narrow, wide = narrow_and_wide("qwen2", "bfloat16", tokenizer)
    encoded = encode(some_questions(4), PLAIN, tokenizer, 1024)
    plain = score_model(narrow, encoded)
    config = LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM")
    tuned, same = get_peft_model(narrow, config), get_peft_model(wide, config)
    for name, weight in tuned.named_parameters():
        if "lora_B" in name:
            weight.data += torch.randn_like(weight)
    same.load_state_dict(tuned.state_dict())
    scores = [score_model(model, encoded) for model in (tuned, same)]
    for one, other, without in zip(*scores, plain, strict=True):
        assert one.log_likelihood == pytest.approx(other.log_likelihood, abs=1e-5)
        assert one.log_likelihood != pytest.approx(without.log_likelihood, abs=1e-2)


def test_batch_size_moves_no_answer_and_no_more_is_settled_than_in_float32(tmp_path):
    loaded = load(ModelReference(model=str(save_tiny(tmp_path / "m")), dtype="bfloat16"))
    encoded = encode(some_questions(20), PLAIN, loaded.tokenizer, 1024)
    works = [TokenCounts(), TokenCounts()]
    whole = score(loaded, encoded, batch_tokens=10**6, work=works[0])
    for one, other in zip(score(loaded, encoded, batch_tokens=64), whole, strict=True):
        assert one.answer == other.answer
        assert one.log_likelihood == pytest.approx(other.log_likelihood, abs=1e-5)
    score_model(copy.deepcopy(loaded.model).float(), encoded, 10**6, work=works[1])
    assert works[0].settled == works[1].settled
