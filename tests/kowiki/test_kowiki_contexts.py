"""Passages at answering time: who gets any, where they stand, and what the gate learns."""

import json
import random

import pytest

from solution.core import UserError
from solution.exam import Question, load_prompt, read_exam
from solution.kowiki import (
    Gate,
    Hit,
    Passage,
    Retrieve,
    build,
    learn_gate,
    read_gate,
    retrieval_inputs,
    with_contexts,
)
from solution.kowiki.gate import Found


@pytest.fixture(scope="module")
def passages(embedded, tmp_path_factory):
    folder = tmp_path_factory.mktemp("contexts") / "passages"
    build(str(embedded / "wiki.xml.bz2"), folder)
    return str(folder)


@pytest.fixture(scope="module")
def exam(embedded):
    return read_exam(embedded / "test.csv").questions


def contexts(questions, **plan):
    return with_contexts(questions, Retrieve(**plan), load_prompt("embedded"), label="test")


def test_a_question_gets_its_subjects_article_behind_its_paragraph(exam, passages):
    asked = [q for q in exam if q.subject == "사회"]
    found = contexts(asked, passages=passages, floor=0.5)
    told = [
        (q, n, f) for q, n, f in zip(asked, found.questions, found.found, strict=True) if f.hits
    ]
    assert len(told) > 50
    for before, after, one in told:
        assert after.paragraph.startswith(before.paragraph)
        assert after.paragraph.endswith(one.hits[0].passage.text)
        assert (after.question, after.choices) == (before.question, before.choices)
    right = [one.hits[0].passage.title in before.question for before, _, one in told]
    assert sum(right) / len(right) > 0.95


def test_long_paragraphs_and_unlike_passages_change_nothing(exam, passages):
    long = [q for q in exam if len(q.paragraph) > 60]
    assert long
    assert contexts(long, passages=passages, longest_paragraph=60).questions == tuple(long)
    strange = Question("x", "", "zzzz qqqq?", ("aa", "bb", "cc", "dd"))
    assert contexts([strange], passages=passages, floor=0.1).questions == (strange,)


def test_k_passages_stand_one_below_the_other_as_the_prompt_says(exam, passages):
    asked = [q for q in exam if not q.paragraph][:5]
    plan = Retrieve(passages=passages, k=3, floor=0.0)
    prompt = load_prompt("contest")
    for question, found in zip(
        *vars(with_contexts(asked, plan, prompt, label="x")).values(), strict=True
    ):
        lines = question.paragraph.split("\n")
        assert [line.startswith("[참고] ") for line in lines] == [True] * 3
        scores = [hit.score for hit in found.hits]
        assert scores == sorted(scores, reverse=True)


def found(likeness=0.8):
    return Found((Hit(Passage("1-0", "1", "글", "", "글이다."), 9.0),), (likeness,))


def test_the_gate_learns_that_questions_with_a_paragraph_are_better_left_alone():
    rng = random.Random(0)
    questions = [
        Question(str(i), "지문이다." if i % 2 else "", "물음인가?", ("가", "나", "다", "라"))
        for i in range(200)
    ]
    noise = [rng.random() < 0.1 for _ in questions]
    better = [bool(i % 2 == 0) != flip for i, flip in enumerate(noise)]
    gate, held = learn_gate(questions, [found()] * 200, [not b for b in better], better)
    assert gate.learnt_from == 200
    for opened in (held, [gate.opens(q, found()) for q in questions]):
        assert opened == [not q.paragraph for q in questions]


def test_without_evidence_the_gate_is_open_and_with_bad_luck_shut():
    questions = [Question(str(i), "", "?", ("가", "나")) for i in range(10)]
    few, _ = learn_gate(questions, [found()] * 10, [False] * 10, [False] * 10)
    assert few.opens(questions[0], found())
    assert not few.opens(questions[0], Found((), ()))
    worse, _ = learn_gate(questions, [found()] * 10, [True] * 10, [False] * 10)
    assert not worse.opens(questions[0], found())


def test_a_held_out_question_is_judged_by_a_gate_that_never_saw_it():
    questions = [Question(str(i), "", "?", ("가", "나")) for i in range(5)]
    # Only question 0 tells anything: it is hurt. Its own gate has not seen it, the others have.
    right_without = [True, False, False, False, False]
    _, held = learn_gate(questions, [found()] * 5, right_without, [False] * 5)
    assert held == [True, False, False, False, False]


def test_a_gate_is_json_and_a_file_that_is_none_is_named(tmp_path):
    gate = Gate(mean=(0.0,), scale=(1.0,), weights=(2.0,), bias=-1.0, learnt_from=20)
    path = tmp_path / "gate.json"
    path.write_text(json.dumps(gate.model_dump()), encoding="utf-8")
    assert read_gate(path) == gate
    path.write_text('{"weight": 1}', encoding="utf-8")
    with pytest.raises(UserError, match=r"gate\.json"):
        read_gate(path)


def test_a_gate_shuts_in_a_plan(exam, passages, tmp_path):
    path = tmp_path / "gate.json"
    path.write_text(json.dumps(Gate(bias=-1.0).model_dump()), encoding="utf-8")
    asked = tuple(exam[:20])
    assert contexts(asked, passages=passages, gate=str(path)).questions == asked


def test_a_missing_build_and_a_missing_gate_are_named(passages, tmp_path):
    with pytest.raises(UserError, match="no finished wiki build"):
        retrieval_inputs(Retrieve(passages=str(tmp_path)))
    with pytest.raises(UserError, match=r"none\.json: no gate"):
        retrieval_inputs(Retrieve(passages=passages, gate=str(tmp_path / "none.json")))
