"""Scores equal those of plain transformers for every model, label, batch size and order."""

import random

import pytest
from reference import encode, slow_log_likelihoods, some_questions
from tiny import CHANGES, tiny_model, tiny_tokenizer

from solution.exam import Prompt
from solution.scoring import TokenCounts, score_model
from solution.scoring.prefix_tree_runner import PrefixTreeRunner

USER = {"paragraph": "$paragraph", "question": "$question", "choices": "$choices"}
PLAIN = Prompt(name="plain", user=USER, plain_suffix="\n정답:")
STYLES = {
    "digits": PLAIN,
    "letters": PLAIN.model_copy(update={"labels": tuple("ABCDEFGHIJ")}),
    "circled": PLAIN.model_copy(update={"labels": tuple("①②③④⑤⑥⑦⑧⑨⑩")}),
    "syllables": PLAIN.model_copy(update={"labels": tuple("가나다라마바사아자차")}),
    "brackets": PLAIN.model_copy(update={"answer": "($label)"}),
    "after a space": PLAIN.model_copy(update={"answer": " $label"}),
    "the choice's text": PLAIN.model_copy(update={"answer": "$text"}),
}


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizer()


@pytest.fixture(scope="module")
def qwen(tokenizer):
    return tiny_model("qwen2", tokenizer)


def assert_equal_to_slow(model, tokenizer, prompt, questions, scored):
    for question, one in zip(questions, scored, strict=True):
        slow = slow_log_likelihoods(model, tokenizer, prompt, question)
        assert one.id == question.id
        assert one.log_likelihood == pytest.approx(slow, abs=1e-4)
        assert one.answer == slow.index(max(slow)) + 1


@pytest.mark.parametrize("architecture", CHANGES)
def test_every_architecture_equals_the_slow_way(architecture, tokenizer):
    model = tiny_model(architecture, tokenizer)
    questions = some_questions()
    for prompt in (STYLES["digits"], STYLES["brackets"]):
        scored = score_model(model, encode(questions, prompt, tokenizer, 1024), 500)
        assert_equal_to_slow(model, tokenizer, prompt, questions, scored)


def test_a_scale_the_reader_does_not_know_is_read_from_the_models_own_logits(tokenizer, capsys):
    model = tiny_model("granite", tokenizer)
    score_model(model, encode(some_questions(2), PLAIN, tokenizer, 1024))
    assert "slower" in capsys.readouterr().err
    score_model(
        tiny_model("gemma2", tokenizer), encode(some_questions(2), PLAIN, tokenizer, 1024)
    )
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("style", STYLES)
def test_every_label_style_equals_the_slow_way(style, qwen, tokenizer):
    prompt, questions = STYLES[style], some_questions(seed=1)
    if style == "the choice's text":
        questions = [q for q in questions if not one_begins_another(q.choices)]
    scored = score_model(qwen, encode(questions, prompt, tokenizer, 1024), 700)
    assert_equal_to_slow(qwen, tokenizer, prompt, questions, scored)


def one_begins_another(texts):
    return any(a != b and b.startswith(a) for a in texts for b in texts) or len(
        set(texts)
    ) < len(texts)


@pytest.mark.parametrize("style", ["digits", "letters", "circled", "after a space"])
def test_labels_that_differ_in_one_token_cost_one_pass(style, qwen, tokenizer):
    counts = TokenCounts()
    encoded = encode(some_questions(6), STYLES[style], tokenizer, 1024)
    score_model(qwen, encoded, counts=counts)
    assert counts.requests == len(encoded)


def test_an_answer_that_begins_another_is_closed_by_the_end_token(qwen, tokenizer):
    questions = some_questions(3, choices=10)
    encoded = encode(questions, PLAIN, tokenizer, 1024)
    assert all(one.terminator_ids == (tokenizer.eos_token_id,) for one in encoded)
    for question, one in zip(questions, score_model(qwen, encoded), strict=True):
        slow = slow_log_likelihoods(
            qwen, tokenizer, PLAIN, question, end=[tokenizer.eos_token_id]
        )
        assert one.log_likelihood == pytest.approx(slow, abs=1e-4)


@pytest.mark.parametrize("style", ["digits", "brackets"])
@pytest.mark.parametrize("rows", [1, 2, 7, 16])
def test_batch_size_and_order_change_no_answer(rows, style, qwen, tokenizer):
    questions = some_questions(20, seed=2)
    encoded = encode(questions, STYLES[style], tokenizer, 1024)
    whole = {one.id: one for one in score_model(qwen, encoded, 10**9)}
    shuffled = random.Random(rows).sample(encoded, len(encoded))
    longest = max(len(one.prompt_ids) for one in encoded)
    for one in score_model(qwen, shuffled, rows * longest):
        assert one.answer == whole[one.id].answer
        assert one.log_likelihood == pytest.approx(whole[one.id].log_likelihood, abs=1e-4)


def test_equal_choices_go_to_the_first(tokenizer):
    import torch

    model = tiny_model("llama", tokenizer)
    with torch.no_grad():
        model.lm_head.weight.zero_()
    scored = score_model(model, encode(some_questions(5), PLAIN, tokenizer, 1024), 300)
    assert {one.answer for one in scored} == {1}
    assert {one.margin for one in scored} == {0.0}


def test_probabilities_are_over_the_rows_own_choices(qwen, tokenizer):
    questions = some_questions(30, seed=4)
    for question, one in zip(
        questions, score_model(qwen, encode(questions, PLAIN, tokenizer, 1024)), strict=True
    ):
        assert len(one.probability) == len(one.log_likelihood) == len(question.choices)
        assert sum(one.probability) == pytest.approx(1.0)
        assert 1 <= one.answer <= len(question.choices)
        best, second = sorted(one.probability, reverse=True)[:2]
        assert one.margin == pytest.approx(best - second)


def test_a_four_choice_row_never_gets_answer_five(tokenizer):
    import torch

    model = tiny_model("llama", tokenizer)
    five = tokenizer.convert_tokens_to_ids("5")
    with torch.no_grad():
        model.lm_head.weight[five] *= 1000
        model.lm_head.weight[five] = model.lm_head.weight[five].abs()
    questions = some_questions(12, choices=4)
    scored = score_model(model, encode(questions, PLAIN, tokenizer, 1024))
    assert {one.answer for one in scored} <= {1, 2, 3, 4}


def test_out_of_memory_halves_the_batch_and_changes_nothing(
    qwen, tokenizer, capsys, monkeypatch
):
    import torch

    encoded = encode(some_questions(16, seed=5), PLAIN, tokenizer, 1024)
    expected = score_model(qwen, encoded, 10**9)
    forward = PrefixTreeRunner._forward

    def small_memory(self, batch):
        if len(batch.ids) > 300:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, batch)

    monkeypatch.setattr(PrefixTreeRunner, "_forward", small_memory)
    scored = score_model(qwen, encoded, 10**9)
    assert [one.answer for one in scored] == [one.answer for one in expected]
    assert "Out of memory" in capsys.readouterr().err


def test_out_of_memory_with_one_question_says_what_to_do(qwen, tokenizer, monkeypatch):
    from solution.core import UserError

    def no_memory(_self, _batch):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate")

    monkeypatch.setattr(PrefixTreeRunner, "_forward", no_memory)
    with pytest.raises(UserError, match="4bit"):
        score_model(qwen, encode(some_questions(4), PLAIN, tokenizer, 1024))


def test_other_faults_are_not_taken_for_lack_of_memory(qwen, tokenizer, monkeypatch):
    def broken(_self, _batch):
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(PrefixTreeRunner, "_forward", broken)
    with pytest.raises(RuntimeError, match="shapes differ"):
        score_model(qwen, encode(some_questions(2), PLAIN, tokenizer, 1024))


def test_a_model_of_not_a_numbers_is_named(tokenizer):
    import torch

    from solution.core import UserError

    model = tiny_model("llama", tokenizer)
    with torch.no_grad():
        model.lm_head.weight.fill_(float("nan"))
    with pytest.raises(UserError, match="not finite"):
        score_model(model, encode(some_questions(2), PLAIN, tokenizer, 1024))


def test_no_questions_give_no_rows(qwen):
    assert score_model(qwen, []) == []


def test_progress_counts_every_question_once(qwen, tokenizer):
    finished = []
    for style in ("digits", "brackets"):
        finished.clear()
        encoded = encode(some_questions(9), STYLES[style], tokenizer, 1024)
        score_model(qwen, encoded, 600, on_batch=finished.append)
        assert sum(finished) == 9


def test_a_scored_model_is_not_kept_alive(tokenizer):
    import gc
    import weakref

    model = tiny_model("qwen2", tokenizer)
    score_model(model, encode(some_questions(1), PLAIN, tokenizer, 1024))
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None
