"""Planted leaks are found whatever was done to them; other questions are no leaks."""

import random
from dataclasses import replace

import pytest

from solution.exam import Question, read_exam
from solution.kowiki import leaked_ids, leaking, nearest
from solution.kowiki.ngrams import repeated


def _spaced(text, rng):
    return "".join(c + (" " if rng.random() < 0.2 else "") for c in text.replace(" ", ""))


CHANGES = {
    "verbatim": lambda q, _: q,
    "spacing": lambda q, rng: replace(
        q, question=_spaced(q.question, rng), choices=tuple(_spaced(c, rng) for c in q.choices)
    ),
    "order": lambda q, rng: replace(q, choices=tuple(rng.sample(q.choices, len(q.choices)))),
    "synonym": lambda q, _: replace(
        q,
        question=q.question.replace("알맞은", "적절한")
        .replace("적절", "알맞")
        .replace("무엇인가", "어느 것인가"),
    ),
}


@pytest.fixture(scope="module")
def real(shared_data):
    """Test questions with enough text to tell them apart, and questions of other exams."""
    test = read_exam(shared_data / "competition" / "test.csv").questions
    others = read_exam(shared_data / "click" / "click.csv").questions
    return test, others


@pytest.mark.parametrize("change", CHANGES)
def test_planted_questions_are_found(real, change):
    test, _ = real
    rng = random.Random(0)
    planted = [CHANGES[change](q, rng) for q in rng.sample(test, 50)]
    planted = [replace(q, id=f"planted-{q.id}", paragraph="") for q in planted]
    found = [near.is_leak for near in nearest(planted, test)]
    assert sum(found) == 50 if change != "synonym" else sum(found) >= 45


def test_of_another_exam_only_what_stands_in_the_test_is_removed(real):
    test, others = real
    choices = {q.id: sorted("".join(c.split()) for c in q.choices) for q in (*test, *others)}
    clean = [replace(q, paragraph="") for q in others]
    pairs = zip(clean, nearest(clean, test), strict=True)
    leaks = [(q.id, near.id) for q, near in pairs if near.is_leak]
    assert len(clean) > 1000
    assert len(leaks) < 5
    assert all(choices[ours] == choices[theirs] for ours, theirs in leaks)


def test_a_passage_of_the_exam_is_a_leak():
    text = "달빛골에는 새로 방앗간이 생겼다. 그 방앗간은 마을 사람들이 함께 지은 것이라고 한다."
    exam = [Question("t", text, "새로 생긴 것은?", ("우체국", "방앗간"))]
    other = Question("k", f"옛날이야기. {text}", "누가 지었는가?", ("마을", "나라"))
    assert nearest([other], exam)[0].is_leak
    assert not nearest([replace(other, paragraph="다른 글")], exam)[0].is_leak


def test_the_same_fact_with_other_choices_is_no_leak():
    exam = [Question("t", "", "가담의 특산물은 무엇인가?", ("인삼", "한지", "소금", "녹차"))]
    same = Question("k", "", "가담의 특산물은 무엇인가?", ("비단", "버섯", "인삼", "진주"))
    assert not nearest([same], exam)[0].is_leak
    assert nearest([replace(same, choices=exam[0].choices[::-1])], exam)[0].is_leak


def test_a_passage_that_spells_a_question_out_is_named():
    exam = [Question("t", "", "달빛골의 오래된 우물은 어디에 있는가?", ("언덕 위", "다리 밑"))]
    spelt = (
        "시험에 나온다. 달빛골의 오래된 우물은 어디에 있는가? 언덕 위, 다리 밑 가운데 고른다."
    )
    assert leaking([spelt, "달빛골에는 우물이 있다."], exam) == ["t", None]


@pytest.mark.parametrize("part", ["paragraph", "question_plus", "choices", "question"])
def test_a_text_of_the_exam_is_found_in_every_part_of_a_question(part):
    text = "달빛골에는 새로 방앗간이 생겼고 마을 사람들이 함께 그것을 지은 것이라고 한다."
    exam = [Question("t", text, "새로 생긴 것은?", ("우체국", "방앗간"))]
    clean = Question("k", "", "무엇이 생겼는가?", ("가나", "다라"), 1)
    assert leaked_ids([clean], exam) == set()
    planted = f"{text[:12]}  {text[12:]}"
    value = ("가나", planted) if part == "choices" else planted
    assert leaked_ids([replace(clean, **{part: value})], exam) == {"k"}
    swapped = [replace(exam[0], paragraph="", question_plus=text)]
    assert leaked_ids([replace(clean, **{part: value})], swapped) == {"k"}


def test_a_text_that_repeats_an_earlier_one_nearly_word_for_word_is_found():
    text = "가람시의 동쪽 바닷가에 있는 오래된 시장에서는 언제부터 닷새마다 장이 섰는가? "
    text += "이른 봄의 장날 늦은 여름의 장날 가을걷이 뒤의 장날 첫눈이 온 뒤의 장날"
    other = "다온군의 서쪽에 있는 높은 산에는 무엇이 자라는가? 소나무 잣나무 밤나무 감나무"
    near = text.replace("섰는가", "섰는지")
    assert repeated([text, other, near, text, other]) == [False, False, True, True, True]
