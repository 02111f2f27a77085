"""Shuffled choices: the answer follows its text; choices that refer to others stay."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from solution.exam import Question, shuffle_choices


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.text("가나다라", min_size=1), min_size=2, max_size=10), st.data())
def test_the_answer_follows_its_text(choices, data):
    answer = data.draw(st.none() | st.integers(1, len(choices)))
    question = Question("q", "", "?", tuple(choices), answer)
    shuffled = shuffle_choices(question, random.Random(data.draw(st.integers())))
    assert sorted(shuffled.choices) == sorted(choices)
    if answer is None:
        assert shuffled.answer is None
    else:
        assert shuffled.choices[shuffled.answer - 1] == choices[answer - 1]


def test_every_place_is_reached_and_the_seed_decides():
    question = Question("q", "", "?", ("ㄱ, ㄴ", "ㄱ, ㄷ", "ㄴ, ㄹ", "ㄷ, ㄹ"), 1)
    places = [shuffle_choices(question, random.Random(n)).answer for n in range(60)]
    assert set(places) == {1, 2, 3, 4}
    assert places == [shuffle_choices(question, random.Random(n)).answer for n in range(60)]


@pytest.mark.parametrize(
    "referring",
    [
        "①과 ②",
        "1번과 3번",
        "A와 B",
        "(A) and (C)",
        "모두",
        "모두 옳다",
        "위의 모든 것",
        "위 모두",
        "이상 모두",
        "둘 다",
        "정답 없음",
        "답이 없다",
        "해당 없음",
        "해당 사항 없음",
        "없음",
        "위의 것 중 없음",
        "보기 모두",
        "All of the above",
        "none of these",
        "Both A and B",
    ],
)
def test_choices_that_refer_to_others_stay_in_order(referring):
    question = Question("q", "", "?", ("가", "나", "다", referring), 4)
    assert shuffle_choices(question, random.Random(1)) is question


@pytest.mark.parametrize(
    "plain",
    [
        "ㄱ, ㄴ",
        "ㄱ과 ㄷ",
        "모두가 동의하는 일",
        "행위의 결과",
        "51번째 주",
        "총 공급 모두 감소",
        "변화 없음",
    ],
)
def test_choices_that_only_resemble_a_reference_are_shuffled(plain):
    question = Question("q", "", "?", (plain, "나", "다", "라", "마"), 1)
    assert any(shuffle_choices(question, random.Random(n)).answer != 1 for n in range(9))
