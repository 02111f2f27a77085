"""The page: probabilities in the question's own order, text that stays text, loopback only."""

import json
import urllib.request

import pytest

from solution.ask.orders import Answered, answer_turned, as_question, turned
from solution.ask.page import ask, build, settings, table, typed_of, verdict
from solution.base import UserError
from solution.exam import Question, load_prompt, read_exam
from solution.models import ModelReference, load
from solution.scoring import encode, score


@pytest.fixture(scope="module")
def tiny(embedded):
    return load(ModelReference(model=str(embedded / "models" / "tiny-s")))


def test_every_choice_stands_once_in_every_place():
    question = Question("q", "", "?", ("가", "나", "다"), 2)
    assert [one.choices for one in turned(question)] == [
        ("가", "나", "다"),
        ("나", "다", "가"),
        ("다", "가", "나"),
    ]
    assert {one.answer for one in turned(question)} == {None}


def test_probabilities_come_back_to_the_choices_they_belong_to(tiny, embedded):
    question = read_exam(embedded / "test.csv").questions[0]
    prompt = load_prompt("embedded")
    found = answer_turned(tiny, question, prompt)
    for turn, asked in enumerate(turned(question)):
        (scored,) = score(tiny, encode([asked], prompt, tiny.tokenizer, tiny.max_length))
        by_text = dict(zip(asked.choices, scored.probability, strict=True))
        expected = [by_text[text] for text in question.choices]
        assert found.orders[turn] == pytest.approx(expected, abs=1e-5)
    assert sum(found.mean) == pytest.approx(1)


def test_a_verdict_counts_the_orders_that_agree():
    answered = Answered([[0.7, 0.3], [0.4, 0.6]], [0.55, 0.45])
    assert (answered.answer, answered.steady) == (1, 1)
    assert verdict(answered) == (
        "Answer 1 (70.0%); the same choice under 1 of 2 orders; the mean of all orders says 1."
    )
    question = Question("q", "", "?", ("<b>가</b>", "나"))
    assert table(question, answered)[0] == ["1 <b>가</b>", "0.700 ███████", "0.550", "0.400"]


@pytest.mark.parametrize(
    ("text", "choices", "told"),
    [("", "a\nb", "blank"), ("?", "a", "1 choices"), ("?", "\n\n", "0 choices")],
)
def test_what_is_missing_is_told(text, choices, told):
    with pytest.raises(UserError, match=told):
        as_question("", text, "", choices)


def test_a_picked_question_fills_the_fields():
    question = Question("q", "글", "?", ("가", "나"), None, "보기")
    assert as_question(*typed_of(question)) == Question(
        "asked", "글", "?", ("가", "나"), None, "보기"
    )


def test_two_models_are_the_most(embedded):
    with pytest.raises(UserError, match="one or two models"):
        ask(["a", "b", "c"], None, embedded / "test.csv", "embedded", None)


def test_the_page_answers_on_loopback_and_asks_nobody(tiny, embedded):
    pytest.importorskip("gradio")
    exam = read_exam(embedded / "test.csv")
    page = build([tiny, tiny], exam, load_prompt("embedded"))
    _, url, public = page.launch(**settings(None), prevent_thread_lock=True, quiet=True)
    try:
        assert url.startswith("http://127.0.0.1:") and public is None
        with urllib.request.urlopen(url) as reply:
            html = reply.read().decode()
        assert "fonts.googleapis" not in html and "모델에게 묻기" in html
        typed = ["<script>alert(1)</script>", "?", "", "가\n<img src=x>\n나"]
        line, cells, *_ = call(url, "answer", typed)
        assert line.startswith("Answer ") and len(cells["data"]) == 3
        assert cells["data"][1][0] == "2 <img src=x>"
    finally:
        page.close()


def call(url, name, data):
    """Gradio's plain HTTP interface: an event is posted, then its result read."""
    request = urllib.request.Request(
        f"{url}gradio_api/call/{name}",
        json.dumps({"data": data}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as reply:
        event = json.load(reply)["event_id"]
    with urllib.request.urlopen(f"{url}gradio_api/call/{name}/{event}") as reply:
        said = reply.read().decode()
    assert "event: complete" in said, said
    return json.loads(said.split("data: ", 1)[1].split("\n")[0])
