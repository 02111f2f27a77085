"""A row's log-likelihood depends on no other row: alone, first, last, among far longer ones."""

import random

import pytest
from tiny import QWEN, tiny_tokenizer

from solution.core import UserError
from solution.scoring import log_likelihoods, score_model
from solution.scoring.encode import Encoded
from solution.scoring.requests import TokenCounts
from solution.scoring.rope import original_length

HEADS = QWEN | {"head_dim": 8}
LONG = {"rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [3.0, 5.0, 7.0, 9.0]}
LLAMA3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
MODELS = {
    "qwen2": ("qwen2", QWEN),
    "qwen3": ("qwen3", HEADS),
    "gemma2": ("gemma2", HEADS | {"sliding_window": 16, "attn_logit_softcapping": 5.0}),
    "gemma3": (
        "gemma3_text",
        HEADS | {"sliding_window": 16, "layer_types": ["sliding_attention", "full_attention"]},
    ),
    "phi3-longrope": (
        "phi3",
        QWEN
        | {
            "max_position_embeddings": 4096,
            "original_max_position_embeddings": 48,
            "rope_parameters": LONG | {"original_max_position_embeddings": 48, "factor": 80.0},
        },
    ),
    "llama3-rope": (
        "llama",
        QWEN
        | {
            "rope_parameters": LLAMA3
            | {"rope_type": "llama3", "original_max_position_embeddings": 64}
        },
    ),
    "dynamic-ntk": (
        "llama",
        QWEN
        | {
            "max_position_embeddings": 48,
            "rope_parameters": {"rope_type": "dynamic", "factor": 4.0},
        },
    ),
    "mistral": ("mistral", HEADS | {"sliding_window": 16}),
    "gpt_neox": ("gpt_neox", {k: v for k, v in QWEN.items() if k != "num_key_value_heads"}),
    "moe": ("qwen3_moe", HEADS | EXPERTS),
    "hybrid": (
        "qwen3_5_text",
        HEADS
        | {
            "layer_types": ["linear_attention", "full_attention"],
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 2,
            "linear_key_head_dim": 8,
            "linear_value_head_dim": 8,
        },
    ),
}


def build(name):
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    architecture, settings = MODELS[name]
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        architecture, vocab_size=300, pad_token_id=0, eos_token_id=1, **settings
    )
    return AutoModelForCausalLM.from_config(config).eval()


def pairs(lengths, seed=0):
    rng = random.Random(seed)
    return [
        (tuple(rng.choices(range(2, 300), k=length)), tuple(rng.choices(range(2, 300), k=2)))
        for length in lengths
    ]


def plain(name, context, continuation):
    """What transformers computes for the row with a model that has seen no other.

    As in lm-evaluation-harness the last token is scored and not run.
    """
    import torch

    model = build(name)
    ids = torch.tensor([(context + continuation)[:-1]])
    with torch.no_grad():
        values = model(input_ids=ids).logits[0].double().log_softmax(-1)
    return sum(
        values[len(context) + i - 1, token].item() for i, token in enumerate(continuation)
    )


@pytest.mark.parametrize("name", MODELS)
def test_a_row_is_scored_as_if_it_were_alone(name):
    model = build(name)
    short, long = pairs([5, 9, 14, 20]), pairs([60, 1400], seed=1)
    expected = [plain(name, *pair) for pair in short]
    long_expected = [plain(name, *pair) for pair in long]
    for rows, values in (
        (short, expected),
        (short[:1], expected[:1]),
        ([*long, *short], [*long_expected, *expected]),
        ([*short, *reversed(long)], [*expected, *reversed(long_expected)]),
    ):
        for batch_tokens in (32, 70, 16384):
            found = [value for value, _ in log_likelihoods(model, rows, batch_tokens)]
            assert found == pytest.approx(values, abs=1e-4), batch_tokens


@pytest.mark.parametrize(
    ("name", "length"), [("phi3-longrope", 48), ("dynamic-ntk", 48), ("llama3-rope", None)]
)
def test_the_length_up_to_which_frequencies_are_shared_is_known(name, length):
    assert original_length(build(name).config) == length


def test_labels_on_both_sides_of_the_limit_are_one_question():
    model = build("phi3-longrope")
    prompt = pairs([46])[0][0]
    labels = ((2,), (3, 4), (3, 5, 6, 7))
    question = Encoded("q", prompt, labels, end_ids=(1,))
    found = score_model(model, [question])[0].log_likelihood
    total = [plain("phi3-longrope", prompt, label) for label in labels]
    import torch

    assert found == pytest.approx(torch.tensor(total).log_softmax(0).tolist(), abs=1e-4)


def test_a_row_that_overflows_in_half_precision_is_recomputed_in_float32():
    import torch

    model = build("qwen2")
    with torch.no_grad():  # beyond 65504 between the products, far below it at the end
        model.model.layers[0].mlp.up_proj.weight *= 3e4
        model.model.layers[0].mlp.down_proj.weight *= 1e-5
    rows = pairs([5, 9, 14])
    expected = [value for value, _ in log_likelihoods(model, rows)]
    half = model.half()
    before = {name: weight.clone() for name, weight in half.state_dict().items()}
    counts = TokenCounts()
    found = [value for value, _ in log_likelihoods(half, rows, counts=counts)]
    assert counts.recomputed_rows == len(rows)
    assert found == pytest.approx(expected, abs=2e-2)
    assert all(torch.equal(before[name], weight) for name, weight in half.state_dict().items())
    with torch.no_grad():
        half.model.norm.weight.fill_(float("nan"))
    with pytest.raises(UserError, match="not finite"):
        log_likelihoods(half, rows)


def test_eight_bit_rows_are_computed_by_themselves(tmp_path, capfd):
    from solution.models import ModelReference, load

    folder = tmp_path / "m"
    build("qwen2").save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    model = load(ModelReference(model=str(folder), quantization="8bit")).model
    rows = pairs([5, 9, 14, 200])
    together = [value for value, _ in log_likelihoods(model, rows)]
    assert "8-bit weights do" in capfd.readouterr().err
    alone = [log_likelihoods(model, [row])[0][0] for row in rows]
    assert together == alone
