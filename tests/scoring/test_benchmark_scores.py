"""Benchmarks' rows scored: as the slow plain way does, resumed, cut, decided."""

import math

import pytest
from tiny import tiny_model, tiny_tokenizer

from solution.models import LoadedModel, ModelReference
from solution.scoring import ScoreCache, TokenCounts
from solution.scoring.benchmarks.ask import decide
from solution.scoring.benchmarks.rows import PART, Row, encode_rows, score_rows


@pytest.fixture(scope="module")
def loaded():
    tokenizer = tiny_tokenizer()
    model = tiny_model("qwen2", tokenizer)
    return LoadedModel(model, tokenizer, ModelReference(model="x"), "cpu", "float32", 64)


def rows(number, shared=""):
    return [
        Row(f"r{i}", f"{shared}비 {i % 7} 온다", (" 예", f" 아니오 {i}"), 1 + i % 2)
        for i in range(number)
    ]


def scored(loaded, some, cache, work=None, heard=lambda _: None, encoding="apart"):
    return score_rows(
        loaded,
        some,
        encoding,
        batch_tokens=4096,
        cache=cache,
        work=work or TokenCounts(),
        on_rows=heard,
    )


@pytest.mark.parametrize("encoding", ["apart", "joined"])
def test_sums_equal_those_of_one_plain_run_a_choice(loaded, tmp_path, encoding):
    import torch

    if encoding == "joined":
        pytest.importorskip("lm_eval")
    some = rows(6)
    found, truncated = scored(loaded, some, ScoreCache(tmp_path / "c", {}), encoding=encoding)
    assert truncated == 0
    tokenizer = loaded.tokenizer
    for row, answered in zip(some, found, strict=True):
        for choice, (total, greedy) in zip(row.choices, answered, strict=True):
            before = tokenizer.encode(row.context, add_special_tokens=False)
            whole = tokenizer.encode(row.context + choice, add_special_tokens=False)
            after = whole[len(before) :]
            if encoding == "apart":
                after = tokenizer.encode(choice, add_special_tokens=False)
            with torch.no_grad():
                logits = loaded.model(torch.tensor([before + after])).logits[0].double()
            own = logits.log_softmax(-1)[len(before) - 1 : -1]
            slow = sum(own[i, token].item() for i, token in enumerate(after))
            assert total == pytest.approx(slow, abs=1e-4)
            assert greedy == (own.argmax(-1).tolist() == after)


def test_an_interrupted_run_goes_on_and_a_second_one_computes_nothing(loaded, tmp_path):
    some = rows(PART + 40)
    cache = ScoreCache(tmp_path / "c", {"model": 1})

    def interrupt(_):
        raise KeyboardInterrupt

    first, rest, again = TokenCounts(), TokenCounts(), TokenCounts()
    with pytest.raises(KeyboardInterrupt):
        scored(loaded, some, cache, first, interrupt)
    whole = scored(loaded, some, cache, rest)
    assert 0 < rest.requests < first.requests
    assert scored(loaded, some, cache, again) == whole and again.tokens_computed == 0
    other = ScoreCache(tmp_path / "c", {"model": 2})
    scored(loaded, some[:2], other, again)
    assert again.tokens_computed > 0


def test_what_rows_share_is_computed_once(loaded, tmp_path):
    work = TokenCounts()
    scored(loaded, rows(60, "같은 보기 " * 2), ScoreCache(tmp_path / "c", {}), work)
    assert work.tokens_computed < work.tokens_unshared / 3


def test_too_long_contexts_lose_their_beginning_and_are_counted(loaded):
    long = Row("r", "가 " * 200 + "끝", (" 예", " 아니오"), 1)
    (cut,), truncated = encode_rows(loaded, [long], "apart")
    whole = loaded.tokenizer.encode(long.context, add_special_tokens=False)
    assert truncated == 1
    for context, continuation in cut:
        assert len(context) + len(continuation) == loaded.max_length + 1
        assert list(context) == whole[-len(context) :]


def test_answers_are_the_likeliest_choice_or_the_likeliest_for_its_length():
    row = Row("r", "", (" a", " bbbb"), 1, lengths=(1, 4))
    answered = [(-2.0, False), (-4.0, False)]
    assert decide(row, answered, "likeliest").answer == 1
    by_length = decide(row, answered, "by_length")
    assert by_length.answer == 2
    assert by_length.probability[1] == pytest.approx(math.exp(1) / (1 + math.exp(1)))
    assert decide(row, [(-1.0, False), (-1.0, True)], "likeliest").answer == 1
