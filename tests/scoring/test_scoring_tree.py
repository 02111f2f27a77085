"""The prefix tree: what is shared is computed once, and values equal plain transformers."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import tiny_model, tiny_tokenizer

from solution.scoring import TokenCounts, log_likelihoods, tree_support, truncate_left
from solution.scoring.lm_head import make_reader
from solution.scoring.prefix_tree import (
    Read,
    build_prefix_tree,
    common_prefix_length,
    iter_nodes,
    mark_read,
    sum_subtrees,
)
from solution.scoring.prefix_tree_runner import PrefixTreeRunner, run_unshared
from solution.scoring.requests import Request
from solution.scoring.tree_batch import TreeBatch

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


def tree_of(sequences, read=()):
    """The prefix tree in which the last position of some sequences (by index) is read."""
    roots, ends = build_prefix_tree(sequences)
    for i in read:
        mark_read(ends[i], Read(len(sequences[i]) - 1, i, 0))
    sum_subtrees(roots)
    return roots, ends


def prefixes(sequences):
    return {ids[:n] for ids in sequences for n in range(1, len(ids) + 1)}


@given(SEQUENCES)
def test_the_tree_holds_every_sequence_and_nothing_twice(sequences):
    roots, ends = tree_of(sequences)
    for ids, end in zip(sequences, ends, strict=True):
        path, node = (), end
        while node is not None:
            path, node = node.ids + path, node.parent
        assert path == ids
    assert sum(root.tokens for root in roots) == len(prefixes(sequences))
    assert all(node.ids for node in iter_nodes(roots))


@given(*[st.lists(st.integers(0, 1), max_size=9).map(tuple)] * 2)
def test_the_common_prefix_is_the_longest_one(left, right):
    shared = common_prefix_length(left, right)
    assert left[:shared] == right[:shared]
    assert left[: shared + 1] != right[: shared + 1] or shared == min(len(left), len(right))


@settings(deadline=None)
@given(SEQUENCES, st.integers(1, 20), st.data())
def test_a_batch_shows_every_token_its_prefix_and_nothing_else(sequences, block_tokens, data):
    import torch

    read = data.draw(st.sets(st.sampled_from(range(len(sequences)))))
    roots, _ = tree_of(sequences, read)
    batch = TreeBatch()
    batch.add_trees(roots, (), block_tokens)
    seen_by = {}
    for block in batch.blocks:
        places = [p for span in block.prefix for p in range(span.start, span.stop)]
        places += range(block.start, block.stop)
        count = block.stop - block.start
        mask = batch.mask(block, None, torch.zeros(1), 0, count)[0, 0]
        for i, row in enumerate(mask):
            chain = [places[j] for j in range(len(places)) if row[j] == 0]
            seen_by[block.start + i] = tuple(batch.ids[p] for p in chain)
            assert [batch.positions[p] for p in chain] == list(range(len(chain)))
    assert sorted(seen_by) == list(range(len(batch.ids)))
    shown = sorted(seen_by.values())
    assert len(set(shown)) == len(shown)
    assert prefixes(sequences[i] for i in read) <= set(shown) <= prefixes(sequences)
    for found in batch.reads:
        assert seen_by[found.position] == sequences[found.request]


@settings(max_examples=40, deadline=None)
@given(PAIRS, st.sampled_from([32, 50, 10**6]), st.sampled_from([1, 6, 256]), st.data())
@pytest.mark.parametrize("name", ["qwen2", "gemma2", "gpt_neox"])
def test_any_batch_size_block_and_order_equals_plain_transformers(
    name, models, pairs, max_tokens, block_tokens, data
):
    import torch

    model, pairs = models[name], data.draw(st.permutations(pairs))
    max_rows = data.draw(st.integers(1, 12))
    done = data.draw(st.sets(st.sampled_from(range(len(pairs)))))
    requests = requests_of(pairs)
    counts, tree, single = TokenCounts(), {}, {}
    with torch.no_grad():
        reader = make_reader(model)
        runner = PrefixTreeRunner(
            reader, max_tokens, max_rows=max_rows, counts=counts, block_tokens=block_tokens
        )
        runner.run(requests, tree.update, done)
        run_unshared(reader, requests, single.update, done=done, counts=TokenCounts())
    assert set(tree) == set(single) == set(range(len(pairs))) - done
    rest = [pairs[row] for row in sorted(tree)]
    for found in (tree, single):
        values = [(found[row][0].values[0], found[row][0].is_greedy) for row in sorted(found)]
        assert_same(values, plainly(model, rest))
    assert counts.tokens_computed == counts.tokens_unique


def requests_of(pairs):
    return [
        Request(i, context + tail[:-1], target=tail) for i, (context, tail) in enumerate(pairs)
    ]


def test_few_shot_prefix_is_computed_once_whatever_the_budget(models):
    rng = random.Random(0)
    prefix = tuple(rng.randrange(3, 300) for _ in range(200))
    pairs = [
        ((*prefix, 3 + i, *(rng.randrange(3, 300) for _ in range(19))), (7,)) for i in range(30)
    ]
    counts = TokenCounts()
    found = log_likelihoods(models["qwen2"], pairs, batch_tokens=64, counts=counts)
    assert counts.tokens_computed == counts.tokens_unique == 200 + 30 * 20
    assert counts.tokens_unshared == 30 * 220
    assert_same(found, plainly(models["qwen2"], pairs))


def test_long_runs_behind_others_are_cut_into_pieces_and_stay_the_same(models, monkeypatch):
    import torch

    monkeypatch.setattr("solution.scoring.tree_batch.PIECE_TOKENS", 7)
    rng = random.Random(1)
    stem = tuple(rng.randrange(3, 300) for _ in range(50))
    tails = [tuple(rng.randrange(3, 300) for _ in range(40)) for _ in range(3)]
    pairs = [(stem + tail, (9, 10)) for tail in tails]
    for model in models.values():
        found = {}
        with torch.no_grad():
            runner = PrefixTreeRunner(make_reader(model), 10**6, block_tokens=8)
            runner.run(requests_of(pairs), found.update)
        values = [(found[i][0].values[0], found[i][0].is_greedy) for i in range(len(pairs))]
        assert_same(values, plainly(model, pairs))


def test_a_model_that_ignores_the_tree_is_found_out_and_scored_whole(capsys, monkeypatch):
    tokenizer = tiny_tokenizer()
    model = tiny_model("llama", tokenizer)

    def alone(*_):
        raise TypeError("no such interface")

    monkeypatch.setattr(tree_support, "_end_states", alone)
    pairs = [((3, 4, 5, 6), (7, 8)), ((3, 4, 5), (9,))]
    counts = TokenCounts()
    assert_same(log_likelihoods(model, pairs, counts=counts), plainly(model, pairs))
    assert counts.tokens_computed == counts.tokens_unshared
    assert "Prefix sharing disabled" in capsys.readouterr().err


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
    assert "Prefix sharing disabled" in capsys.readouterr().err


def test_the_models_own_attention_is_back_after_scoring(models):
    model = models["qwen2"]
    before = model.config._attn_implementation
    log_likelihoods(model, [((3, 4), (5,))])
    assert model.config._attn_implementation == before


def test_without_a_context_the_first_token_is_the_condition(models):
    model = models["qwen2"]
    found = log_likelihoods(model, [((), (3, 4, 5)), ((3,), (4, 5))])
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("context", "continuation", "kept"),
    [
        ((1, 2, 3), (4, 5), ((1, 2, 3), (4, 5))),
        ((1, 2, 3, 9), (4, 5), ((2, 3, 9), (4, 5))),
        ((1, 2, 3), (4, 5, 6, 7), ((3,), (4, 5, 6, 7))),
        ((1, 2, 3), (4, 5, 6, 7, 8), ((), (4, 5, 6, 7, 8))),
        ((1, 2, 3), (4, 5, 6, 7, 8, 9), ((), (5, 6, 7, 8, 9))),
    ],
)
def test_what_is_too_long_for_the_model_is_cut_from_the_left(context, continuation, kept):
    assert truncate_left(context, continuation, max_length=4) == kept
