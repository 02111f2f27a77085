"""The page: probabilities per rotation, no markup from user text, loopback only."""

import json
import urllib.request
from dataclasses import replace

import pytest

from solution.ask.demo import (
    answer_question,
    ask,
    build,
    launch_options,
    parse_question,
    rotated_probabilities,
)
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
    said = (
        "<img src=x onerror='window.pwned = 1'> 대동법은 공물을 쌀로 바치게 하여 백성의 부담을 "
        "크게 덜어 주었으며 광해군이 처음 시행한 제도이다. "
    )
    rows = [
        {"id": "1", "title": "대동법 <script>window.pwned = 1</script>", "text": said * 3},
        {"id": "2", "title": "호랑이", "text": "호랑이는 고양잇과에 속하는 큰 동물이다. " * 5},
    ]
    source = folder / "wiki.jsonl"
    source.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    build_wiki(str(source), folder / "passages")
    return RetrievalConfig(passages=str(folder / "passages"))


def test_probabilities_are_those_of_each_rotation_in_the_order_asked(tiny, embedded):
    question = read_exam(embedded / "test.csv").questions[0]
    prompt, own = load_prompt("embedded"), question.choices
    found = rotated_probabilities(tiny, question, prompt)
    assert len(found) == len(own)
    for turn, order in enumerate(found):
        asked = replace(question, choices=own[turn:] + own[:turn])
        (scored,) = score(tiny, encode([asked], prompt, tiny.chat, tiny.max_length))
        by_text = dict(zip(asked.choices, scored.probability, strict=True))
        assert order == pytest.approx([by_text[text] for text in own], abs=1e-5)


def test_the_answer_line_counts_the_orders_that_agree(tiny, embedded):
    question = replace(
        read_exam(embedded / "test.csv").questions[0], choices=("<b>가</b>", "나")
    )
    prompt = load_prompt("embedded")
    orders = rotated_probabilities(tiny, question, prompt)
    line, rows = answer_question([tiny], question, prompt, None)
    best = [order.index(max(order)) for order in orders]
    assert line == (
        f"Answer {best[0] + 1} ({max(orders[0]):.1%}); the same choice in "
        f"{best.count(best[0])} of 2 orders."
    )
    assert rows[0][0] == "1 <b>가</b>"
    assert rows[0][2] == f"{(orders[0][0] + orders[1][0]) / 2:.3f}"


@pytest.mark.parametrize(
    ("text", "choices", "message"),
    [("", "a\nb", "blank"), ("?", "a", "1 choices"), ("?", "\n\n", "0 choices")],
)
def test_an_incomplete_question_is_an_error(text, choices, message):
    with pytest.raises(UserError, match=message):
        parse_question("", text, "", choices)


def test_more_than_two_models_are_an_error(embedded):
    with pytest.raises(UserError, match="one or two models"):
        ask(["a", "b", "c"], None, embedded / "test.csv", "embedded", None)


def test_the_page_answers_on_loopback_without_foreign_requests(tiny, embedded):
    pytest.importorskip("gradio")
    exam = read_exam(embedded / "test.csv")
    page = build([tiny, tiny], exam, load_prompt("embedded"), None)
    _, url, public = page.launch(**launch_options(None), prevent_thread_lock=True, quiet=True)
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
    line, rows, found = answer_question([tiny], ASKED, prompt, wiki)
    put_in = retrieve_passages([ASKED], wiki, prompt, label="test")
    plain, within = (
        score(tiny, encode([question], prompt, tiny.chat, tiny.max_length))
        for question in (ASKED, *put_in.questions)
    )
    assert [float(row[1]) for row in rows] == pytest.approx(plain[0].probability, abs=1e-3)
    assert [float(row[4]) for row in rows] == pytest.approx(within[0].probability, abs=1e-3)
    assert line.count("Answer ") == 1 and "with passages" in line
    [hit] = put_in.found[0].hits
    [overlap] = put_in.found[0].overlaps
    assert found == [[hit.passage.title, "", f"{overlap:.2f}", hit.passage.text]]


def test_a_question_without_a_matching_passage_is_answered_once(tiny, wiki):
    strange = Question("q", "", "zzzz qqqq?", ("가", "나"))
    line, rows, found = answer_question([tiny], strange, load_prompt("embedded"), wiki)
    assert line.count("Answer ") == 1 and "no passage overlaps" in line
    assert found == [] and {row[4] for row in rows} == {"–"}


def test_markup_of_a_wiki_is_text_in_the_browser(tiny, embedded, wiki, browser):
    pytest.importorskip("gradio")
    blocks = build([tiny], read_exam(embedded / "test.csv"), load_prompt("embedded"), wiki)
    _, url, _ = blocks.launch(**launch_options(None), prevent_thread_lock=True, quiet=True)
    page = browser.new_page()
    try:
        page.goto(url)
        page.get_by_label("Question · 질문").fill(ASKED.question)
        page.get_by_label("Choices, one per line").fill("<b>광해군</b>\n세종")
        page.get_by_role("button", name="Answer · 풀기").click()
        page.get_by_text("처음 시행한 제도이다").filter(visible=True).first.wait_for()
        shown = page.inner_text("body")
        assert "<script>window.pwned = 1</script>" in shown and "onerror='" in shown
        assert "1 <b>광해군</b>" in shown
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
