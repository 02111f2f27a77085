"""Passages at inference time: which questions get any, and where they are put."""

import pytest
from pydantic import ValidationError

from solution.core import UserError
from solution.exam import Question, load_prompt, read_exam
from solution.kowiki import RetrievalConfig, build, retrieval_inputs, retrieve_passages


@pytest.fixture(scope="module")
def passages(embedded, tmp_path_factory):
    folder = tmp_path_factory.mktemp("retrieval") / "passages"
    build(str(embedded / "wiki.xml.bz2"), folder)
    return str(folder)


@pytest.fixture(scope="module")
def exam(embedded):
    return read_exam(embedded / "test.csv").questions


def retrieve(questions, **config):
    prompt = load_prompt(config.pop("prompt", "embedded"))
    return retrieve_passages(questions, RetrievalConfig(**config), prompt, label="test")


def test_a_question_gets_its_subjects_article_behind_its_paragraph(exam, passages):
    asked = [q for q in exam if q.subject == "사회"]
    result = retrieve(asked, passages=passages, min_overlap=0.5)
    rows = [
        row for row in zip(asked, result.questions, result.found, strict=True) if row[2].hits
    ]
    assert len(rows) > 50
    for before, after, found in rows:
        assert after.paragraph.startswith(before.paragraph)
        assert after.paragraph.endswith(found.hits[0].passage.text)
        assert (after.question, after.choices) == (before.question, before.choices)
    right = [found.hits[0].passage.title in before.question for before, _, found in rows]
    assert sum(right) / len(right) > 0.95


def test_long_paragraphs_and_passages_without_overlap_change_nothing(exam, passages):
    long = [q for q in exam if len(q.paragraph) > 60]
    assert long
    assert retrieve(long, passages=passages, max_paragraph_chars=60).questions == tuple(long)
    strange = Question("x", "", "zzzz qqqq?", ("aa", "bb", "cc", "dd"))
    assert retrieve([strange], passages=passages, min_overlap=0.1).questions == (strange,)


def test_top_k_passages_follow_each_other_best_first_as_the_prompt_says(exam, passages):
    asked = [q for q in exam if not q.paragraph][:5]
    result = retrieve(asked, passages=passages, top_k=3, min_overlap=0.0, prompt="contest")
    for question, found in zip(result.questions, result.found, strict=True):
        lines = question.paragraph.split("\n")
        assert [line.startswith("[참고] ") for line in lines] == [True] * 3
        scores = [hit.score for hit in found.hits]
        assert scores == sorted(scores, reverse=True)


def test_a_missing_build_is_named(tmp_path):
    with pytest.raises(UserError, match="no finished wiki build"):
        retrieval_inputs(RetrievalConfig(passages=str(tmp_path)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("k", "top_k"),
        ("floor", "min_overlap"),
        ("longest_paragraph", "max_paragraph_chars"),
        ("gate", "min_overlap"),
    ],
)
def test_an_old_key_is_an_error_that_names_the_new_one(old, new):
    with pytest.raises(ValidationError, match=f"`{old}`.*`{new}`"):
        RetrievalConfig(passages="x", **{old: 1})
