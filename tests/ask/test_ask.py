"""The page: probabilities in the question's own order, text that stays text, loopback only."""

import json
import urllib.request

import pytest

from solution.ask.orders import Answered, answer_turned, as_question, turned
from solution.ask.page import answered_by, ask, build, settings, table, typed_of, verdict
from solution.core import UserError
from solution.exam import Question, load_prompt, read_exam
from solution.kowiki import RetrievalConfig, retrieve_passages
from solution.kowiki import build as build_wiki
from solution.models import ModelReference, load
from solution.scoring import encode, score


@pytest.fixture(scope="module")
def tiny(embedded):
    return load(ModelReference(model=str(embedded / "models" / "tiny-s")))


@pytest.fixture(scope="module")
def wiki(tmp_path_factory):
    """Two articles, one of them with markup in its title and text."""
    folder = tmp_path_factory.mktemp("ask")
    said = "<img src=x onerror='window.pwned = 1'> 대동법은 광해군이 처음 시행한 제도이다. "
    rows = [
        {"id": "1", "title": "대동법 <script>window.pwned = 1</script>", "text": said * 3},
        {"id": "2", "title": "호랑이", "text": "호랑이는 고양잇과에 속하는 큰 동물이다. " * 5},
    ]
    source = folder / "wiki.jsonl"
    source.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    build_wiki(str(source), folder / "passages")
    return RetrievalConfig(passages=str(folder / "passages"))


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


ASKED = Question("q", "", "대동법을 처음 시행한 임금은?", ("광해군", "세종", "영조", "정조"))


def test_a_question_is_answered_without_and_with_the_wiki_as_predict_would(tiny, wiki):
    prompt = load_prompt("embedded")
    line, rows, found = answered_by([tiny], ASKED, prompt, wiki)
    put_in = retrieve_passages([ASKED], wiki, prompt, label="test")
    plain, within = (
        score(tiny, encode([question], prompt, tiny.tokenizer, tiny.max_length))
        for question in (ASKED, *put_in.questions)
    )
    assert [float(row[1].split()[0]) for row in rows] == pytest.approx(
        plain[0].probability, abs=1e-3
    )
    assert [float(row[4].split()[0]) for row in rows] == pytest.approx(
        within[0].probability, abs=1e-3
    )
    assert line.count("Answer ") == 2 and "With passages" in line
    [hit] = put_in.found[0].hits
    assert found == [
        [hit.passage.title, "", f"{hit.score:.2f}", "0.62", hit.passage.text],
    ]


def test_a_question_that_no_passage_fits_is_answered_once_and_says_why(tiny, wiki):
    strange = Question("q", "", "zzzz qqqq?", ("가", "나"))
    line, rows, found = answered_by([tiny], strange, load_prompt("embedded"), wiki)
    assert line.count("Answer ") == 1 and "No passage is shown" in line
    assert found == [] and {row[4] for row in rows} == {"–"}


def test_markup_of_a_wiki_is_text_in_the_browser(tiny, embedded, wiki, browser):
    pytest.importorskip("gradio")
    blocks = build([tiny], read_exam(embedded / "test.csv"), load_prompt("embedded"), wiki)
    _, url, _ = blocks.launch(**settings(None), prevent_thread_lock=True, quiet=True)
    page = browser.new_page()
    try:
        page.goto(url)
        page.get_by_label("Question · 질문").fill(ASKED.question)
        page.get_by_label("Choices, one a line").fill("<b>광해군</b>\n세종")
        page.get_by_role("button", name="Answer · 풀기").click()
        page.get_by_text("처음 시행한 제도이다").filter(visible=True).first.wait_for()
        told = page.inner_text("body")
        assert "<script>window.pwned = 1</script>" in told and "onerror='" in told
        assert "1 <b>광해군</b>" in told
        assert page.evaluate("window.pwned") is None
        assert page.locator("img[src=x], b").count() == 0
    finally:
        page.close()
        blocks.close()


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
