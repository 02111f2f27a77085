"""The cache: no forward pass for what is known, and no old answer for a changed model."""

import pytest
from reference import some_questions
from tiny import save_tiny

from solution.core import UserError
from solution.exam import Prompt
from solution.models import ModelReference, load, weights_fingerprint
from solution.scoring import ScoreCache, TokenCounts, encode, score
from solution.scoring.prefix_tree_runner import PrefixTreeRunner

PROMPT = Prompt(
    name="plain",
    user={"paragraph": "$paragraph", "question": "$question", "choices": "$choices"},
)


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
    from dataclasses import replace

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
