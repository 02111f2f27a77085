"""The embedded exam asks what it should, and each answer stands where it should."""

import random
from collections import Counter
from dataclasses import replace

import pytest
from scipy.stats import chisquare

from solution.exam import read_answer_key, read_exam, with_answers
from tools.embedded.exam import KOREAN, SOCIAL, write_exams
from tools.embedded.facts import RELATIONS, SUBJECTS, VALUES, Fact


@pytest.fixture(scope="module")
def train(made):
    return read_exam(made / "train.csv", answers=True).questions


@pytest.fixture(scope="module")
def test(made):
    return with_answers(
        read_exam(made / "test.csv"), read_answer_key(made / "solution.csv")
    ).questions


@pytest.fixture(scope="module")
def meanings():
    """Every question text of the world with what it asks: (subject's name, relation)."""
    found = {}
    for kind, relations in RELATIONS.items():
        for name in SUBJECTS[kind]:
            for relation in relations:
                for form in relation.questions:
                    asked = replace(relation, questions=(form,))
                    text = Fact(kind, name, asked, "").question(random.Random(0))
                    assert text not in found, f"{text} asks two things"
                    found[text] = (name, relation)
    return found


def _answer(question):
    return question.choices[question.answer - 1]


def _asked(questions, meanings, subject):
    """What the questions of a subject ask: (name, relation), or with the answer for stories."""
    found = set()
    for question in questions:
        if question.subject == subject:
            name, relation = meanings[question.question]
            told_by = () if subject == SOCIAL else (_answer(question),)
            found.add((name, relation.name, *told_by))
    return found


def test_both_files_are_large_enough_and_half_social_studies(train, test):
    assert len(train) >= 600
    assert len(test) >= 300
    for questions in (train, test):
        subjects = Counter(q.subject for q in questions)
        assert subjects == {KOREAN: len(questions) / 2, SOCIAL: len(questions) / 2}


def test_the_test_file_holds_no_answers(made):
    assert all(q.answer is None for q in read_exam(made / "test.csv").questions)


@pytest.mark.parametrize("subject", [KOREAN, SOCIAL])
def test_no_fact_asked_in_the_test_file_is_asked_in_train(train, test, meanings, subject):
    asked = _asked(test, meanings, subject)
    assert len(asked) == sum(q.subject == subject for q in test)  # nor twice in the test file
    assert asked & _asked(train, meanings, subject) == set()


def test_no_passage_of_stories_is_in_both_files(train, test):
    passages = [{q.paragraph for q in qs if q.subject == KOREAN} for qs in (train, test)]
    assert passages[0] & passages[1] == set()


def test_answers_are_what_the_world_says(world, train, test, meanings):
    truth = {(fact.x, fact.relation.name): fact.y for fact in world.facts}
    for question in (*train, *test):
        if question.subject == SOCIAL:
            name, relation = meanings[question.question]
            assert _answer(question) == truth[name, relation.name]


def test_the_answer_of_a_story_stands_in_its_passage_or_box(train, test):
    for question in (*train, *test):
        if question.subject == KOREAN:
            assert _answer(question) in question.paragraph + question.question_plus


def test_the_answer_of_social_studies_does_not_stand_in_its_own_paragraph(train, test):
    for question in (*train, *test):
        if question.subject == SOCIAL:
            told = question.paragraph.split()
            assert not any(word.startswith(_answer(question)) for word in told)


def test_choices_are_distinct_and_of_the_kind_that_is_asked(train, test, meanings):
    for question in (*train, *test):
        _, relation = meanings[question.question]
        assert set(question.choices) <= set(VALUES[relation.values])
        assert len(set(question.choices)) == len(question.choices)


def test_there_are_questions_with_four_and_with_five_choices(train, test):
    for questions in (train, test):
        assert {len(q.choices) for q in questions} == {4, 5}


def test_answers_stand_at_every_place_equally_often(train, test):
    for choices in (4, 5):
        places = Counter(q.answer for q in (*train, *test) if len(q.choices) == choices)
        assert chisquare([places[place + 1] for place in range(choices)]).pvalue > 0.001


def test_the_same_seed_writes_the_same_bytes(world, made, tmp_path):
    write_exams(world, 7, tmp_path)
    for name in ("train.csv", "test.csv", "solution.csv"):
        assert (tmp_path / name).read_bytes() == (made / name).read_bytes()


def test_the_shipped_exam_is_what_the_code_makes(made, embedded):
    for name in ("train.csv", "test.csv", "solution.csv", "wiki.xml.bz2"):
        assert (embedded / name).read_bytes() == (made / name).read_bytes()
