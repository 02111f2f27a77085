"""Answer keys: reading, filling in, and the public and private split."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from solution.core import UserError
from solution.exam import (
    AnswerKey,
    Exam,
    Question,
    public_private_split,
    read_answer_key,
    read_exam,
    with_answers,
    write_answer_key,
)


def exam(*answers, choices=("가", "나", "다", "라")):
    questions = [
        Question(f"q{n}", "", "?", choices, answer) for n, answer in enumerate(answers)
    ]
    return Exam(Path("exam.csv"), tuple(questions), "0")


def key(**answers):
    return AnswerKey(answers, dict.fromkeys(answers, "Public"))


def test_an_answer_key_round_trips(tmp_path):
    key = AnswerKey({"b": 3, "a": 1}, {"b": "Private", "a": "Public"})
    write_answer_key(tmp_path / "s.csv", key)
    assert read_answer_key(tmp_path / "s.csv") == key
    assert (tmp_path / "s.csv").read_text() == "id,answer,Usage\nb,3,Private\na,1,Public\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,answer\na,1\n", "'Usage' is missing"),
        ("id,answer,Usage\n", "no rows"),
        (
            "id,answer,Usage\na,0,Public\n",
            "row 1 .*, a: answer: expected 1 to 10 or a letter, found '0'",
        ),
        ("id,answer,Usage\na,11,Public\n", "found '11'"),
        ("id,answer,Usage\na,정,Public\n", "found '정'"),
        ("id,answer,Usage\na,1,public\n", "Usage: expected Public or Private, found 'public'"),
        ("id,answer,Usage\na,1,Public\na,2,Public\n", "row 2 .*, a: duplicate id"),
        ("id,answer,Usage\n,1,Public\n", "no id"),
        ("id,answer,Usage\na,1\n", "expected 3 fields"),
    ],
)
def test_a_malformed_answer_key_is_an_error(tmp_path, text, message):
    path = tmp_path / "s.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        read_answer_key(path)
    assert str(caught.value).startswith(str(path))


def test_an_answer_key_in_cp949_is_an_error(tmp_path):
    path = tmp_path / "s.csv"
    path.write_bytes("id,answer,Usage\n가,1,Public\n".encode("cp949"))
    with pytest.raises(UserError, match="CP949"):
        read_answer_key(path)


def test_answers_are_filled_in_from_the_key():
    filled = with_answers(exam(None, 2), key(q0=4, q1=2))
    assert [question.answer for question in filled.questions] == [4, 2]


@pytest.mark.parametrize(
    ("answers", "solution", "message"),
    [
        ((None, None), key(q0=1), "q1: in the exam but not in the answer key"),
        ((None,), key(q0=1, x=1), "x: in the answer key but not in the exam"),
        ((None,), key(q0=5), "q0: the key's answer is 5, the row has 4 choices"),
        ((2,), key(q0=3), "q0: the key's answer is 3, the exam's 2"),
    ],
)
def test_the_key_of_another_exam_is_an_error(answers, solution, message):
    with pytest.raises(UserError, match=message):
        with_answers(exam(*answers), solution)


IDS = st.lists(st.text(min_size=1, max_size=8), unique=True, max_size=40)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(IDS, st.integers(0, 5), st.randoms())
def test_the_split_has_its_sizes_and_does_not_depend_on_order(ids, seed, random):
    usage = public_private_split(ids, seed)
    assert list(usage) == ids
    assert list(usage.values()).count("Public") == len(ids) // 2
    assert set(usage.values()) <= {"Public", "Private"}
    random.shuffle(ids)
    assert public_private_split(ids, seed) == usage


def test_the_split_is_the_same_on_every_machine():
    usage = public_private_split([f"q{n}" for n in range(8)])
    assert [id for id, half in usage.items() if half == "Public"] == ["q0", "q4", "q5", "q6"]


def test_the_real_test_file_is_split_into_434_and_435(shared_data):
    questions = read_exam(shared_data / "competition" / "test.csv").questions
    usage = list(public_private_split([question.id for question in questions]).values())
    assert (usage.count("Public"), usage.count("Private")) == (434, 435)
