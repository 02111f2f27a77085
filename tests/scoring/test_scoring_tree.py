"""The prefix tree: everything shared is computed once, and every value is the plain way's."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import tiny_model, tiny_tokenizer

from solution.scoring import TokenCounts, log_likelihoods
from solution.scoring import reader as reader_module
from solution.scoring.forest import Forest
from solution.scoring.layout import Layout
from solution.scoring.padded import Padded
from solution.scoring.passes import Pass
from solution.scoring.reader import reader_of
from solution.scoring.tree import common, grow, walk

SEQUENCES = st.lists(
    st.lists(st.integers(0, 2), min_size=1, max_size=12).map(tuple), min_size=1, max_size=12
)
PAIRS = st.lists(
    st.tuples(
        st.lists(st.integers(3, 6), min_size=1, max_size=30).map(tuple),
        st.lists(st.integers(3, 6), min_size=1, max_size=5).map(tuple),
    ),
    min_size=1,
    max_size=10,
)


@pytest.fixture(scope="module")
def models():
    tokenizer = tiny_tokenizer()
    return {name: tiny_model(name, tokenizer) for name in ("qwen2", "gemma2", "gpt_neox")}


def plainly(model, pairs):
    """Each pair alone: all logits, then the log-probabilities of the continuation's tokens."""
    import torch

    values = []
    for context, continuation in pairs:
        with torch.no_grad():
            ids = torch.tensor([[*context, *continuation]])
            logs = model(input_ids=ids).logits[0].double().log_softmax(-1)
        own = logs[len(context) - 1 : -1]
        token = torch.tensor(continuation)
        greedy = bool((own.argmax(-1) == token).all())
        values.append((own[range(len(token)), token].sum().item(), greedy))
    return values


def assert_same(found, expected):
    for (value, greedy), (slow, slow_greedy) in zip(found, expected, strict=True):
        assert value == pytest.approx(slow, abs=1e-4)
        assert greedy == slow_greedy


@given(SEQUENCES)
def test_the_tree_holds_every_sequence_and_nothing_twice(sequences):
    roots, ends = grow(sequences)
    for ids, end in zip(sequences, ends, strict=True):
        path, node = (), end
        while node is not None:
            path, node = node.ids + path, node.parent
        assert path == ids
    distinct = {ids[:n] for ids in sequences for n in range(1, len(ids) + 1)}
    assert sum(root.tokens for root in roots) == len(distinct)
    assert all(node.ids for node in walk(roots))


@given(*[st.lists(st.integers(0, 1), max_size=9).map(tuple)] * 2)
def test_common_is_the_length_of_the_longest_shared_beginning(left, right):
    shared = common(left, right)
    assert left[:shared] == right[:shared]
    assert left[: shared + 1] != right[: shared + 1] or shared == min(len(left), len(right))


@settings(deadline=None)
@given(SEQUENCES, st.integers(1, 20))
def test_a_layout_shows_every_token_its_own_beginning_and_nothing_else(sequences, block_tokens):
    import torch

    roots, _ = grow(sequences)
    layout = Layout()
    layout.add_trees(roots, (), block_tokens)
    assert len(layout.ids) == sum(root.tokens for root in roots)
    seen_by = {}
    for block in layout.blocks:
        places = [p for span in block.before for p in range(span.start, span.stop)]
        places += range(block.start, block.stop)
        mask = layout.mask(block, None, torch.zeros(1))[0, 0]
        for i, row in enumerate(mask):
            chain = [places[j] for j in range(len(places)) if row[j] == 0]
            seen_by[block.start + i] = tuple(layout.ids[p] for p in chain)
            assert [layout.positions[p] for p in chain] == list(range(len(chain)))
    beginnings = {ids[:n] for ids in sequences for n in range(1, len(ids) + 1)}
    assert sorted(seen_by.values()) == sorted(beginnings)


@settings(max_examples=40, deadline=None)
@given(PAIRS, st.sampled_from([32, 50, 10**6]), st.sampled_from([1, 6, 256]), st.randoms())
@pytest.mark.parametrize("name", ["qwen2", "gemma2", "gpt_neox"])
def test_any_budget_block_and_order_equals_the_plain_way(
    name, models, pairs, budget, block_tokens, order
):
    import torch

    model = models[name]
    order.shuffle(pairs)
    passes = [
        Pass(i, context + tail[:-1], answer=tail) for i, (context, tail) in enumerate(pairs)
    ]
    work = TokenCounts()
    with torch.no_grad():
        reader = reader_of(model, torch.tensor([[3, 4, 5]]))
        values = Forest(reader, budget, None, work, block_tokens).run(passes)
        padded = Padded(reader, budget, None, TokenCounts()).run(passes)
    expected = plainly(model, pairs)
    assert_same([(v.numbers[0], v.greedy) for v in values], expected)
    assert_same([(v.numbers[0], v.greedy) for v in padded], expected)
    assert work.computed == work.tree


def test_few_shot_prefix_is_computed_once_whatever_the_budget(models):
    rng = random.Random(0)
    prefix = tuple(rng.randrange(3, 300) for _ in range(200))
    pairs = [
        ((*prefix, 3 + i, *(rng.randrange(3, 300) for _ in range(19))), (7,)) for i in range(30)
    ]
    work = TokenCounts()
    found = log_likelihoods(models["qwen2"], pairs, batch_tokens=64, work=work)
    assert work.computed == work.tree == 200 + 30 * 20
    assert work.plain == 30 * 220
    assert_same(found, plainly(models["qwen2"], pairs))


def test_long_runs_behind_others_are_cut_into_pieces_and_stay_the_same(models, monkeypatch):
    import torch

    monkeypatch.setattr("solution.scoring.layout.PIECE_TOKENS", 7)
    rng = random.Random(1)
    stem = tuple(rng.randrange(3, 300) for _ in range(50))
    tails = [tuple(rng.randrange(3, 300) for _ in range(40)) for _ in range(3)]
    pairs = [(stem + tail, (9, 10)) for tail in tails]
    for model in models.values():
        passes = [Pass(i, c + t[:-1], answer=t) for i, (c, t) in enumerate(pairs)]
        with torch.no_grad():
            reader = reader_of(model, torch.tensor([[3, 4, 5]]))
            values = Forest(reader, 10**6, None, TokenCounts(), 8).run(passes)
        assert_same([(v.numbers[0], v.greedy) for v in values], plainly(model, pairs))


def test_a_model_that_ignores_the_tree_is_found_out_and_scored_whole(capsys, monkeypatch):
    tokenizer = tiny_tokenizer()
    model = tiny_model("llama", tokenizer)

    def alone(*_):
        raise TypeError("no such interface")

    monkeypatch.setattr(reader_module, "_branched", alone)
    pairs = [((3, 4, 5, 6), (7, 8)), ((3, 4, 5), (9,))]
    work = TokenCounts()
    assert_same(log_likelihoods(model, pairs, work=work), plainly(model, pairs))
    assert work.computed > work.plain - 1
    assert "runs whole" in capsys.readouterr().err


def test_layers_that_mix_outside_attention_are_scored_whole(capsys):
    """A model with a short convolution between its layers: side by side they would mix."""
    from transformers import AutoConfig, AutoModelForCausalLM

    tokenizer = tiny_tokenizer()
    config = AutoConfig.for_model(
        "lfm2",
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        layer_types=["conv", "full_attention"],
    )
    model = AutoModelForCausalLM.from_config(config).eval()
    pairs = [((3, 4, 5, 6), (7, 8)), ((3, 4, 5), (9,)), ((3, 4, 9), (9,))]
    assert_same(log_likelihoods(model, pairs), plainly(model, pairs))
    assert "runs whole" in capsys.readouterr().err


def test_the_models_own_attention_is_back_after_scoring(models):
    model = models["qwen2"]
    before = model.config._attn_implementation
    log_likelihoods(model, [((3, 4), (5,))])
    assert model.config._attn_implementation == before


@pytest.mark.parametrize("name", ["qwen2", "gemma2", "gpt_neox"])
def test_the_last_mlp_runs_only_where_something_is_read(name, models):
    model = models[name]
    pairs = [((3,) * 20 + (i,), (4, 5)) for i in range(3, 6)]
    expected = plainly(model, pairs)
    assert_same(log_likelihoods(model, pairs), expected)
    rows = []
    mlps = [model.base_model.layers[i].mlp for i in (0, -1)]
    hooks = [
        mlp.register_forward_hook(lambda _mlp, _given, output: rows.append(output.shape[1]))
        for mlp in mlps
    ]
    try:
        assert_same(log_likelihoods(model, pairs), expected)
    finally:
        for hook in hooks:
            hook.remove()
    # The shared run, and two tokens of each branch: the last token of an answer predicts none.
    assert rows == [20 + 3 * 2, 3 * 2]
    assert not any(mlp._forward_pre_hooks or mlp._forward_hooks for mlp in mlps)
