"""The baselines score what can be had without a model, and ties favour no position."""

from pathlib import Path

import pytest

from solution.exam import Question
from solution.explore.baselines import baselines, word_overlap
from solution.explore.metrics import ExamKey, exam_metrics


def question(id, choices, answer, paragraph="", subject=""):
    return Question(id, paragraph, "무엇인가?", tuple(choices), answer, subject=subject)


def key_of(questions):
    half = len(questions) // 2
    usage = ["Public"] * half + ["Private"] * (len(questions) - half)
    answers = [q.answer for q in questions]
    return ExamKey(
        Path("exam.csv"), tuple(questions), answers, usage, list(range(len(questions)))
    )


def test_word_overlap_finds_the_choice_that_the_passage_names():
    one = question("1", ["바다에서", "산골에서", "도시에서"], 2, "그는 산골에 살았다.")
    assert word_overlap(one) == (2,)


def test_word_overlap_without_a_passage_can_tell_nothing():
    assert word_overlap(question("1", ["가나", "다라", "마바"], 1)) == (1, 2, 3)


def test_random_earns_one_over_the_number_of_choices_exactly():
    questions = [question("1", "가나다라", 4), question("2", "가나다라마", 1)]
    guesses = baselines(questions, [4, 1])["random (expected)"]
    assert exam_metrics(key_of(questions), guesses)["accuracy"] == pytest.approx(
        (1 / 4 + 1 / 5) / 2
    )


def test_longest_choice_shares_its_credit_among_equals():
    questions = [question("1", ["가", "나나", "다다"], 3), question("2", ["가가", "나"], 1)]
    guesses = baselines(questions, [3, 1])["longest choice"]
    assert guesses == [(2, 3), (1,)]
    assert exam_metrics(key_of(questions), guesses)["accuracy"] == pytest.approx(0.75)


def test_always_the_same_names_its_answer_and_where_it_is_from():
    questions = [question(str(i), "가나다", 1 + (i > 3)) for i in range(6)]
    names = baselines(questions, [q.answer for q in questions])
    assert "always 1 (key's commonest)" in names


def test_figures_by_half_and_by_subject():
    questions = [
        question("1", "가나다", 1, subject="국어"),
        question("2", "가나다", 2, subject="사회"),
        question("3", "가나다", 3, subject="국어"),
        question("4", "가나다", 1, subject="사회"),
    ]
    found = exam_metrics(key_of(questions), [(1,), (1,), (3,), (1,)])
    assert found["accuracy"] == 0.75
    assert (found["public"], found["private"]) == (0.5, 1.0)
    assert (found["accuracy_국어"], found["accuracy_사회"]) == (1.0, 0.5)
