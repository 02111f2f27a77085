"""Generated texts: greedy ones equal in any batch, sampled ones seeded, and the vote."""

import math

import pytest
from tiny import tiny_model, tiny_tokenizer

from solution.core import UserError
from solution.models import LoadedModel, ModelReference
from solution.scoring import (
    GenerationConfig,
    GenerationRequest,
    ParsedAnswer,
    generate,
    majority_vote,
)

BUDGET = 12


@pytest.fixture(scope="module")
def loaded():
    tokenizer = tiny_tokenizer()
    model = tiny_model("qwen2", tokenizer)
    return LoadedModel(model, tokenizer, ModelReference(model="m"), "cpu", "float32", 1024)


@pytest.fixture(scope="module")
def asked(loaded):
    texts = ["물", "다음 글을 읽고 물음에 답하시오.", "정답은?", "강이 흐른다. " * 5, "불이다"]
    ids = [tuple(loaded.tokenizer(text).input_ids) for text in texts]
    return [GenerationRequest(f"q{i}", one) for i, one in enumerate(ids)]


def test_batches_give_the_text_of_each_prompt_alone(loaded, asked):
    import torch

    how = GenerationConfig(max_new_tokens=BUDGET)
    for batch_tokens in (1, 60, 10**6):
        found = generate(loaded, asked, how, batch_tokens)
        for one, text in zip(asked, found, strict=True):
            ids = list(one.prompt_ids)
            for _ in range(BUDGET):
                with torch.no_grad():
                    logits = loaded.model(input_ids=torch.tensor([ids])).logits[0, -1]
                ids.append(int(logits.argmax()))
                if ids[-1] == loaded.tokenizer.eos_token_id:
                    break
            own = ids[len(one.prompt_ids) :]
            ended = own[-1] == loaded.tokenizer.eos_token_id
            own = own[:-1] if ended else own
            assert text.text == loaded.tokenizer.decode(own, skip_special_tokens=True)
            assert (text.finished, text.tokens) == (ended, len(own))


def test_sampled_texts_are_repeatable_and_depend_on_the_seed(loaded, asked):
    import torch

    samples = [GenerationRequest(one.id, one.prompt_ids, s) for one in asked for s in range(2)]
    how = GenerationConfig(max_new_tokens=BUDGET, samples=2, temperature=1.0, seed=1)
    state = torch.random.get_rng_state()
    first = generate(loaded, samples, how, 10**6)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(7)
    assert generate(loaded, samples, how, 10**6) == first
    assert first[0] != first[1]
    other = generate(loaded, samples, how.model_copy(update={"seed": 2}), 10**6)
    assert sum(a != b for a, b in zip(first, other, strict=True)) >= len(samples) - 1


def test_out_of_memory_halves_the_batch_and_changes_nothing(loaded, asked, monkeypatch, capsys):
    how = GenerationConfig(max_new_tokens=4)
    expected = generate(loaded, asked, how, 10**6)
    write = loaded.model.generate

    def small(input_ids, **options):
        if len(input_ids) > 2:
            raise MemoryError("out of memory")
        return write(input_ids=input_ids, **options)

    monkeypatch.setattr(loaded.model, "generate", small)
    assert generate(loaded, asked, how, 10**6) == expected
    assert "Out of memory" in capsys.readouterr().err

    def none(**_):
        raise MemoryError("out of memory")

    monkeypatch.setattr(loaded.model, "generate", none)
    with pytest.raises(UserError, match="max_new_tokens"):
        generate(loaded, asked, how, 10**6)


def parsed(*answers):
    return [ParsedAnswer(a, "answered" if a else "unparsed") for a in answers]


def test_the_most_frequent_answer_wins_and_the_first_of_equals():
    assert majority_vote("q", 5, parsed(3, 1, 3)).answer == 3
    assert majority_vote("q", 5, parsed(4, None, 2)).answer == 4
    assert majority_vote("q", 5, parsed(2, 4, 4, 2, None)).answer == 2
    assert majority_vote("q", 5, parsed(None, None)) is None
    assert majority_vote("q", 5, []) is None


def test_votes_become_probabilities_above_zero():
    one = majority_vote("q", 4, parsed(1, 1, 2, None))
    assert sum(one.probability) == pytest.approx(1)
    assert one.probability == pytest.approx([2.25 / 4, 1.25 / 4, 0.25 / 4, 0.25 / 4])
    assert one.log_likelihood[2] == pytest.approx(math.log(0.0625))
