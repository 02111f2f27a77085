"""The cache: no forward pass for what is known, and no old answer for a changed model."""

import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import encode, some_questions
from tiny import save_tiny

from solution.core import UserError
from solution.exam import Prompt
from solution.models import ModelReference, load, weights_fingerprint
from solution.scoring import (
    ScoreCache,
    TokenCounts,
    log_likelihoods,
    open_score_cache,
    score,
)
from solution.scoring.prefix_tree_runner import PrefixTreeRunner

PROMPT = Prompt(
    name="plain",
    user={"paragraph": "$paragraph", "question": "$question", "choices": "$choices"},
)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    folder = save_tiny(tmp_path_factory.mktemp("model"), tie_word_embeddings=False)
    return load(ModelReference(model=str(folder), dtype="float32"))


def model_and_cache(folder, path, **changes):
    reference = ModelReference(model=str(folder), dtype="float32", **changes)
    loaded = load(reference)
    made_by = {"weights": weights_fingerprint(reference), "dtype": loaded.dtype}
    return loaded, ScoreCache(path, made_by)


def scored(loaded, cache, questions, prompt=PROMPT):
    counts = TokenCounts()
    encoded = encode(questions, prompt, loaded.tokenizer, 512)
    return score(loaded, encoded, counts=counts, cache=cache), counts


def test_a_second_identical_run_does_no_forward_pass(tmp_path, monkeypatch):
    loaded, cache = model_and_cache(save_tiny(tmp_path / "m"), tmp_path / "c.sqlite")
    questions = some_questions(6)
    first, _ = scored(loaded, cache, questions)
    forward = []
    monkeypatch.setattr(loaded.model, "forward", lambda *_, **__: forward.append(1))
    monkeypatch.setattr(PrefixTreeRunner, "_forward", lambda *_: forward.append(1))
    second, work = scored(*model_and_cache_again(loaded, cache), questions)
    assert forward == [] and work.tokens_computed == 0
    for one, again in zip(first, second, strict=True):
        assert (again.id, again.answer) == (one.id, one.answer)
        assert again.log_likelihood == pytest.approx(one.log_likelihood, abs=1e-12)


def model_and_cache_again(loaded, cache):
    return loaded, ScoreCache(
        cache.path, {"weights": weights_fingerprint(loaded.reference), "dtype": loaded.dtype}
    )


def test_one_changed_row_computes_one_row(tmp_path):
    loaded, cache = model_and_cache(save_tiny(tmp_path / "m"), tmp_path / "c.sqlite")
    questions = some_questions(6)
    scored(loaded, cache, questions)
    questions[2] = replace(questions[2], question="또 다른 물음?")
    found, work = scored(loaded, cache, questions)
    assert work.requests == 1
    alone, _ = scored(loaded, None, questions)
    assert [one.answer for one in found] == [one.answer for one in alone]


def test_a_changed_template_is_computed_again(tmp_path):
    loaded, cache = model_and_cache(save_tiny(tmp_path / "m"), tmp_path / "c.sqlite")
    scored(loaded, cache, some_questions(4))
    other = PROMPT.model_copy(update={"plain_suffix": "!", "system": "잘 읽으시오."})
    _, work = scored(loaded, cache, some_questions(4), other)
    assert work.requests == 4


@pytest.mark.parametrize("change", ["weights", "adapter", "tokenizer", "dtype"])
def test_a_changed_model_never_gets_an_old_answer(change, tmp_path):
    folder, path = save_tiny(tmp_path / "m"), tmp_path / "c.sqlite"
    questions = some_questions(4)
    before, _ = scored(*model_and_cache(folder, path), questions)
    changes = {}
    if change == "weights":
        save_tiny(folder, seed=1)
    elif change == "adapter":
        changes["adapter"] = str(tuned(folder, tmp_path / "adapter"))
    elif change == "tokenizer":
        file = folder / "tokenizer_config.json"
        file.write_text(file.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    loaded, cache = model_and_cache(folder, path, **changes)
    if change == "dtype":
        cache = ScoreCache(
            path, {"weights": weights_fingerprint(loaded.reference), "dtype": "bfloat16"}
        )
    after, work = scored(loaded, cache, questions)
    assert work.requests == 4
    if change in ("weights", "adapter"):
        assert after[0].log_likelihood != pytest.approx(before[0].log_likelihood, abs=1e-3)


def tuned(folder, place):
    """An adapter that was trained: its weights are not where they begin."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(folder),
        LoraConfig(r=2, target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM"),
    )
    for weight in model.parameters():
        if weight.requires_grad:
            weight.data += 0.5 * torch.randn_like(weight)
    model.save_pretrained(place)
    return place


def test_a_file_that_is_no_cache_is_named(tmp_path):
    path = tmp_path / "c.sqlite"
    path.write_text("no database at all, but some text " * 50)
    with pytest.raises(UserError, match="Delete the file"):
        ScoreCache(path, {})


class Interrupted(Exception):
    pass


@settings(max_examples=8, deadline=None)
@given(
    st.integers(1, 12),
    st.sampled_from([64, 300, 10**6]),
    st.sampled_from(["", "()"]),
    st.data(),
)
def test_an_interrupted_run_gives_the_same_bits_as_an_uninterrupted_one(
    loaded, tmp_path_factory, stop, batch_tokens, brackets, data
):
    """Whatever was stored before, and wherever the run stops."""
    folder = tmp_path_factory.mktemp("caches")
    prompt = PROMPT.model_copy(update={"answer": "($label)" if brackets else "$label"})
    encoded = encode(some_questions(40, seed=2), prompt, loaded.tokenizer, 512)
    earlier = data.draw(st.sets(st.integers(0, 39), max_size=8))
    options = {"batch_tokens": batch_tokens}
    results = []
    for name, interruptions in (("whole", 0), ("interrupted", 3)):
        cache = open_score_cache(folder / name, loaded)
        score(loaded, [encoded[i] for i in sorted(earlier)], cache=cache)
        for _ in range(interruptions):
            left = iter(range(stop))

            def interrupt(_count, left=left):
                if next(left, None) is None:
                    raise Interrupted

            with suppress(Interrupted):
                score(loaded, encoded, cache=cache, on_batch=interrupt, **options)
        results.append(score(loaded, encoded, cache=cache, **options))
    assert results[0] == results[1]


def test_scores_are_stored_every_sixteen_questions(loaded, tmp_path, monkeypatch):
    cache = open_score_cache(tmp_path / "c", loaded)
    write, sizes = cache.write, []
    monkeypatch.setattr(cache, "write", lambda rows: (sizes.append(len(rows)), write(rows)))
    score(loaded, encode(some_questions(60), PROMPT, loaded.tokenizer, 512), cache=cache)
    assert sum(sizes) == 60 and max(sizes) <= 16
    score(loaded, encode(some_questions(60), PROMPT, loaded.tokenizer, 512), cache=cache)
    assert sum(sizes) == 60


def test_a_large_model_stores_its_scores_after_fewer_tokens(loaded, tmp_path, monkeypatch):
    """About 10 seconds of work, counted in floating-point operations."""
    cache = open_score_cache(tmp_path / "c", loaded)
    write, sizes = cache.write, []
    monkeypatch.setattr(cache, "write", lambda rows: (sizes.append(len(rows)), write(rows)))
    monkeypatch.setattr(type(loaded.model), "num_parameters", lambda _: 7_000_000_000)
    score(loaded, encode(some_questions(20), PROMPT, loaded.tokenizer, 512), cache=cache)
    assert sum(sizes) == 20 and max(sizes) <= 5


def test_pairs_are_cached_too(loaded, tmp_path):
    cache, first, second = (
        open_score_cache(tmp_path / "c", loaded),
        TokenCounts(),
        TokenCounts(),
    )
    pairs = [((3, 4, 5), (6, i)) for i in range(7, 20)] * 2
    found = log_likelihoods(loaded.model, pairs, counts=first, cache=cache)
    assert log_likelihoods(loaded.model, pairs, counts=second, cache=cache) == found
    assert (first.requests, second.requests) == (13, 0)
    assert found == log_likelihoods(loaded.model, pairs)


def test_scores_that_are_not_finite_are_neither_answers_nor_stored(loaded, tmp_path):
    import copy

    import torch

    broken = copy.deepcopy(loaded.model)
    with torch.no_grad():
        broken.lm_head.weight.fill_(float("nan"))
    cache = open_score_cache(tmp_path / "c", loaded)
    with pytest.raises(UserError, match="not finite"):
        log_likelihoods(broken, [((3, 4), (5, 6))], cache=cache)
    counts = TokenCounts()
    log_likelihoods(loaded.model, [((3, 4), (5, 6))], counts=counts, cache=cache)
    assert counts.requests == 1


@pytest.mark.parametrize("change", ["version", "device", "attention path"])
def test_the_key_holds_libraries_device_and_attention_path(
    change, loaded, tmp_path, monkeypatch
):
    before = open_score_cache(tmp_path / "c", loaded).scope
    assert open_score_cache(tmp_path / "c", loaded).scope == before
    if change == "version":
        monkeypatch.setattr("solution.scoring.score_cache.version", lambda _: "0.0")
    elif change == "device":
        loaded = replace(loaded, device="cuda")
    else:
        monkeypatch.setattr(
            "solution.scoring.tree_support.supports_tree_attention", lambda _: False
        )
    assert open_score_cache(tmp_path / "c", loaded).scope != before


def test_sigkill_loses_nothing_that_was_stored_and_changes_no_byte(tmp_path):
    script = Path(__file__).with_name("kill_scoring.py")
    model = save_tiny(tmp_path / "m")
    done = subprocess.run(
        [sys.executable, str(script), str(model), str(tmp_path), "8"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "8 kills" in done.stdout
    assert (tmp_path / "killed.parquet").read_bytes() == (
        tmp_path / "whole.parquet"
    ).read_bytes()
