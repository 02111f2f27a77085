"""What the trainer reads: the mask, padding, shuffling, truncation, and no test row ever."""

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from tiny import tiny_tokenizer

from solution.core import UserError
from solution.exam import Exam, Question, load_prompt, read_exam, write_exam
from solution.finetune.data import FinetuneData, load_data, load_wiki
from solution.finetune.packing import IGNORE_INDEX
from solution.finetune.recipe import Data, Kowiki, Recipe
from solution.finetune.tokenize import (
    end_token,
    load_or_build,
    set_pad_token,
    shuffle_epoch,
    sort_within_batch,
    tokenize_examples,
)
from solution.models import ChatTemplate
from solution.scoring import encode

IM_END = 151645


def recipe(**changes) -> Recipe:
    train = {"epochs": 2, "batch_size": 4, "gradient_accumulation_steps": 2} | changes
    data = {"train": "train.csv", "test": "test.csv", "seed": 5}
    return Recipe.model_validate(
        {"name": "r", "model": {"model": "m"}, "data": data, "train": train}
    )


def questions(number: int = 20) -> list[Question]:
    words = [f"낱말{i}" for i in range(50)]
    rng = random.Random(0)
    return [
        Question(
            id=f"q{i}",
            paragraph=f"지문 {i} " + "산과 강 " * rng.randint(1, 12),
            question=f"물음 {i}?",
            choices=tuple(rng.sample(words, 4 + i % 2)),
            answer=1,
        )
        for i in range(number)
    ]


def rows_of(recipe, some, prompt, tokenizer, max_length):
    data = FinetuneData(tuple(some), (), Exam(Path(), (), ""), {})
    return tokenize_examples(recipe, data, prompt, tokenizer, max_length)


@pytest.fixture(scope="module")
def qwen(shared_data):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(shared_data / "tokenizers" / "qwen2.5")


@pytest.fixture(scope="module")
def prompt():
    return load_prompt("contest")


def test_exactly_the_answer_and_the_end_are_supervised_in_every_real_row(
    shared_data, qwen, prompt
):
    exam = read_exam(shared_data / "competition" / "train.csv", answers=True)
    plan = recipe(epochs=1, batch_size=1, gradient_accumulation_steps=1)
    set_pad_token(qwen, end_token(qwen))
    rows = rows_of(plan, exam.questions, prompt, qwen, 4096)
    assert len(rows.dataset) == 2031 and rows.truncated == 0
    for row, question in zip(rows.dataset, shuffle_epoch(plan, exam.questions, 0), strict=True):
        answer = 15 + question.answer
        assert row["labels"][-2:] == row["input_ids"][-2:] == [answer, IM_END]
        assert set(row["labels"][:-2]) == {IGNORE_INDEX}
        assert len(row["labels"]) == len(row["input_ids"])
        assert 16 <= answer <= 20


def test_the_rows_begin_with_the_very_prompt_that_the_scorer_reads(prompt):
    tokenizer, plan = (
        tiny_tokenizer(),
        recipe(epochs=1, batch_size=1, gradient_accumulation_steps=1),
    )
    rows = rows_of(plan, questions(), prompt, tokenizer, 1024)
    chat = ChatTemplate(tokenizer, "m")
    scored = encode(shuffle_epoch(plan, questions(), 0), prompt, chat, 1024)
    for row, one in zip(rows.dataset, scored, strict=True):
        assert tuple(row["input_ids"][: len(one.prompt_ids)]) == one.prompt_ids


def test_too_long_rows_lose_passage_and_keep_the_answer(prompt):
    tokenizer, long = tiny_tokenizer(), [replace(questions()[0], paragraph="산과 강 " * 400)]
    plan = recipe(epochs=2, batch_size=1, gradient_accumulation_steps=1)
    rows = rows_of(plan, long, prompt, tokenizer, 600)
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert rows.truncated == 1
    for row in rows.dataset:
        assert len(row["input_ids"]) <= 600 and row["labels"][-1] == end
        assert "물음 0?" in tokenizer.decode(row["input_ids"])


def test_every_epoch_reads_every_question_once_in_an_order_of_its_own():
    plan, all_of_them = recipe(), questions()
    first, second = shuffle_epoch(plan, all_of_them, 0), shuffle_epoch(plan, all_of_them, 1)
    ids = [[q.id for q in epoch] for epoch in (first, second)]
    assert sorted(ids[0]) == sorted(ids[1]) == sorted(q.id for q in all_of_them)
    assert ids[0] != ids[1] and shuffle_epoch(plan, all_of_them, 0) == first
    choices = [{q.id: q.choices for q in epoch} for epoch in (first, second)]
    assert choices[0] != choices[1]


def test_the_answer_follows_its_choice_to_places_that_are_even():
    skewed = [q for q in questions(1000) if len(q.choices) == 5]
    drawn = [q for epoch in range(4) for q in shuffle_epoch(recipe(), skewed, epoch)]
    right = {q.id: q.choices[0] for q in skewed}
    assert all(q.choices[q.answer - 1] == right[q.id] for q in drawn)
    counts = Counter(q.answer for q in drawn)
    expected = len(drawn) / 5
    # Chi square with 4 degrees of freedom: 18.5 is passed once in a thousand.
    assert sum((counts[k] - expected) ** 2 / expected for k in range(1, 6)) < 18.5


def test_choices_that_refer_to_others_and_unshuffled_recipes_keep_their_order():
    referring = [replace(questions()[0], choices=("가", "나", "①과 ②", "모두 옳다"))]
    assert shuffle_epoch(recipe(), referring, 0) == referring
    plain = shuffle_epoch(recipe(shuffle_choices=False), questions(), 0)
    assert {q.id: q.choices for q in plain} == {q.id: q.choices for q in questions()}


def test_rows_of_a_step_are_sorted_by_length_and_stay_in_their_step(prompt):
    tokenizer, plan, size = tiny_tokenizer(), recipe(), recipe().rows_per_step
    rows = rows_of(plan, questions(), prompt, tokenizer, 1024).dataset["input_ids"]
    unsorted = rows_of(
        recipe(batch_size=1, gradient_accumulation_steps=1),
        questions(),
        prompt,
        tokenizer,
        1024,
    ).dataset["input_ids"]
    for start in range(0, len(rows), size):
        step = list(rows[start : start + size])
        assert [len(ids) for ids in step] == sorted(len(ids) for ids in step)
        assert sorted(step) == sorted(unsorted[start : start + size])


def test_max_steps_is_a_limit_and_not_a_demand(prompt):
    few, many = recipe(max_steps=3), recipe(max_steps=1000)
    tokenizer = tiny_tokenizer()
    assert len(rows_of(few, questions(), prompt, tokenizer, 1024).dataset) == 24
    assert len(rows_of(many, questions(), prompt, tokenizer, 1024).dataset) == 40


def test_padding_is_never_the_end_of_the_answer(qwen):
    assert (end_token(qwen), qwen.pad_token) == (IM_END, "<|endoftext|>")
    set_pad_token(qwen, IM_END)
    assert qwen.pad_token == "<|endoftext|>"
    for bad in ("<|im_end|>", None):
        tokenizer = tiny_tokenizer()
        tokenizer.pad_token = bad
        end = end_token(tokenizer)
        set_pad_token(tokenizer, end)
        assert tokenizer.convert_ids_to_tokens(end) == "<|im_end|>"
        assert tokenizer.pad_token == "<|endoftext|>"


def test_a_tokenizer_without_another_special_token_is_refused():
    tokenizer = tiny_tokenizer(chat=False)
    tokenizer.eos_token = "<|endoftext|>"
    tokenizer.pad_token = "<|endoftext|>"
    with pytest.raises(UserError, match="pads with its end token"):
        set_pad_token(tokenizer, end_token(tokenizer))


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{% for m in messages %}{{ m.content }}<|im_end|>\n{% endfor %}", "<|im_end|>"),
        ("{% for m in messages %}{{ m.content }} <|endoftext|>{% endfor %}", "<|endoftext|>"),
        ("{% for m in messages %}{{ m.content }}\n{% endfor %}", "<|im_end|>"),
        (None, "<|im_end|>"),
    ],
)
def test_the_end_is_what_the_template_writes_behind_an_answer(template, expected):
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = template
    assert tokenizer.convert_ids_to_tokens(end_token(tokenizer)) == expected


def test_a_test_row_in_the_training_file_is_refused_by_its_id(tmp_path):
    write_exam(tmp_path / "train.csv", questions())
    write_exam(tmp_path / "test.csv", questions()[7:9])
    with pytest.raises(UserError, match=r"(?s)2 problems.*id q7.*id q8.*Training on the test"):
        load_data(data_of(tmp_path))


def test_a_test_question_under_another_id_is_left_out_and_said(tmp_path, capsys):
    copied = questions()[3]
    other = replace(copied, id="t1", choices=copied.choices[::-1], answer=None)
    write_exam(tmp_path / "train.csv", questions())
    write_exam(tmp_path / "test.csv", [other])
    data = load_data(data_of(tmp_path))
    assert data.removed_overlaps == 1 and not data.test_has_answers
    ids = [q.id for q in (*data.train, *data.validation)]
    assert copied.id not in ids and len(ids) == 19
    assert "q3 (test t1)" in capsys.readouterr().err


def test_no_validation_fraction_trains_on_every_question(tmp_path):
    write_exam(tmp_path / "train.csv", questions())
    write_exam(tmp_path / "test.csv", [replace(questions()[0], id="t", question="다른?")])
    data = load_data(data_of(tmp_path, validation_fraction=0))
    assert len(data.train) == 20 and not data.validation and data.test_has_answers


def data_of(folder, **changes) -> Data:
    return Data(train=str(folder / "train.csv"), test=str(folder / "test.csv"), **changes)


def test_rows_without_anything_to_learn_are_named():
    rows = [
        {"id": "whole", "input_ids": [1, 2, 3], "labels": [-100, 2, 3]},
        {"id": "masked", "input_ids": [1, 2, 3], "labels": [-100, -100, -100]},
        {"id": "first only", "input_ids": [1, 2], "labels": [1, -100]},
    ]
    with pytest.raises(
        UserError, match=r"2 training rows have no supervised token: masked, first"
    ):
        sort_within_batch(rows, 2)


def test_rows_are_encoded_once_and_read_from_then_on(tmp_path, prompt):
    plan = recipe(epochs=1)
    built = rows_of(plan, questions(6), prompt, tiny_tokenizer(), 1024)
    kept = load_or_build(tmp_path, lambda: built)
    again = load_or_build(tmp_path, lambda: pytest.fail("encoded again"))
    assert again.dataset.to_list() == kept.dataset.to_list() == built.dataset.to_list()
    assert (again.truncated, again.dropped) == (built.truncated, built.dropped)


def test_a_wiki_without_passages_is_refused_by_name(tmp_path):
    write_exam(tmp_path / "test.csv", questions(3))
    empty = Kowiki(questions=str(tmp_path / "test.csv"))
    with pytest.raises(UserError, match=r"data\.kowiki\.questions: .*: nothing left"):
        load_wiki(empty, read_exam(tmp_path / "test.csv"))
