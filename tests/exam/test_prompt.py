"""Prompts: what of a question is put to a model, and in which order."""

import pytest

from solution.core import UserError
from solution.exam import Question, load_prompt

QUESTION = Question(
    "q", "값은 $5이다.", "얼마인가?", ("하나", "둘", "셋", "넷"), 2, "<보기> ㄱ"
)
CHOICES = "1 - 하나\n2 - 둘\n3 - 셋\n4 - 넷"
MINIMAL = "name: p\nuser:\n  all: $question\n"


def prompt_of(tmp_path, text):
    path = tmp_path / "p.yaml"
    path.write_text(text, encoding="utf-8")
    return load_prompt(str(path))


def test_the_contest_prompt_shows_every_part_in_order():
    system, user = load_prompt("contest").messages(QUESTION)
    assert system["role"] == "system"
    parts = ["값은 $5이다.", "얼마인가?", "<보기> ㄱ", CHOICES, "1, 2, 3, 4 중"]
    places = [user["content"].index(part) for part in parts]
    assert places == sorted(places)


def test_a_block_whose_field_is_blank_is_omitted():
    bare = Question("q", " \n", "얼마인가?", ("하나", "둘"))
    message = load_prompt("contest").messages(bare)[-1]["content"]
    assert "지문" not in message
    assert "보기" not in message
    assert message.startswith("질문:")


def test_a_truncated_paragraph_replaces_the_whole_one():
    message = load_prompt("contest").messages(QUESTION, paragraph="짧다")[-1]["content"]
    assert "짧다" in message
    assert "값은" not in message
    assert "지문" not in load_prompt("contest").messages(QUESTION, paragraph="")[-1]["content"]


def test_answers_follow_the_choices_of_the_row(tmp_path):
    prompt = load_prompt("contest")
    assert prompt.answers(QUESTION) == ["1", "2", "3", "4"]
    text = "name: p\nuser: {all: x}\nanswer: '$label: $text'\n".replace(
        "all: x", "question: $question $choices"
    )
    assert prompt_of(tmp_path, text).answers(QUESTION)[1] == "2: 둘"


def test_an_empty_system_makes_no_message(tmp_path):
    text = "name: p\nsystem: ''\nuser: {question: '$question', choices: '$choices'}\n"
    assert [m["role"] for m in prompt_of(tmp_path, text).messages(QUESTION)] == ["user"]


USER = "user: {question: '$question', choices: '$choices'}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: p\n", "user: missing"),
        ("name: p\nuser: {quest: '$question $choices'}\n", "user.quest.*should be 'paragraph'"),
        ("name: p\nuser: {question: '$question $choics'}\n", r"placeholder \$choics"),
        ("name: p\nuser: {question: '$question $'}\n", 'unescaped "\\$"'),
        ("name: p\nuser: {question: '$question'}\n", r"must use \$question and \$choices"),
        (f"name: p\n{USER}choice: '$number'\n", r"choice: .*placeholder \$number"),
        (f"name: p\n{USER}answer: '$question'\n", r"answer: .*placeholder \$question"),
        (f"name: p\n{USER}labels: [a, b]\n", "labels: .*10 different"),
        (f"name: p\n{USER}labels: [a, a, c, d, e, f, g, h, i, j]\n", "10 different"),
        (f"name: p\n{USER}sytem: x\n", "sytem: unknown key; did you mean system"),
    ],
)
def test_an_invalid_prompt_names_its_file_and_key(tmp_path, text, message):
    with pytest.raises(UserError, match=message) as caught:
        prompt_of(tmp_path, text)
    assert str(caught.value).startswith(str(tmp_path / "p.yaml"))


def test_an_unknown_prompt_lists_the_available_names():
    with pytest.raises(UserError, match="contest"):
        load_prompt("kontest")
