"""Pages to passages: sentences, what is missing in them, sections, packing."""

import pytest

from solution.kowiki.passages import cut_page, pack, sentence_fault, split_sentences
from solution.kowiki.sources import Page

BODY = "가나다라는 바닷가에 있는 마을이다. " * 10


@pytest.mark.parametrize(
    "sentences",
    [
        ["3.1 운동은 1919년에 일어났다.", "이듬해 U.S. 함대가 왔다."],
        ["J. 로크는 이렇게 말했다(책에 나온다. 그렇다).", "끝이다."],
        ["그는 “나는 간다.” 라고 말했다.", "그리고 떠났다."],
        ["그는 어디로 갔는가?", "아무도 모른다!", "끝이다."],
    ],
)
def test_sentences_end_at_full_stops_outside_numbers_initials_brackets_and_quotes(sentences):
    assert split_sentences(" ".join(sentences)) == sentences


def test_a_missing_blank_between_sentences_is_seen_and_ends_without_a_stop_are_left_out():
    assert split_sentences("그는 왔다.그녀는 갔다.\n왕의 목록\n값은 이렇다. 그리고 끝이") == [
        "그는 왔다.",
        "그녀는 갔다.",
        "값은 이렇다.",
    ]


@pytest.mark.parametrize(
    "sentence",
    [
        "면적은 이고, 인구는 많다.",
        "인구는 명이다.",
        "1960년에 와 자매결연을 맺었다.",
        "그는 에 출연했다.",
        "그는 를 만들었다.",
        "1970년에 《》라는 영화를 찍었다.",
        "그는 “”라고 말했다.",
        "는 조선의 왕이다.",
        ", 그는 조선의 왕이다.",
        "그의 호는 이다.",
        "값은 formula_12이다.",
        "그는 “나는 간다고 말했다.",
        "서울(한국의 수도는 크다.",
    ],
)
def test_a_sentence_that_lost_a_part_is_found(sentence):
    assert sentence_fault(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "면적은 121 km²이고, 인구는 12명이다.",
        "이 사람은 가 나 다 순으로 적었다.",
        "MPEG-2 는 새 방식을 쓴다.",
        '그는 "나는 간다"라고 말했다.',
        "1) 첫째는 이것이다.",
        "금, 은, 동을 캔다.",
        "그 이전에 와서 살았다.",
        "《홍길동전》의 주인공이다.",
    ],
)
def test_a_whole_sentence_is_kept(sentence):
    assert sentence_fault(sentence) == ""


def test_a_sentence_goes_with_its_hole_and_the_template_is_counted():
    text = f"{BODY}인구는 {{{{인구|가}}}}명이다. 넓이는 {{{{인구|나}}}}이다."
    cut = cut_page(Page("1", "가", text, model="wikitext"), 300, 100)
    assert "명이다" not in "".join(passage.text for passage in cut.passages)
    assert cut.counts["templates"] == {"인구": 2}
    assert cut.counts["sentences"] == {"lost a template, formula or link": 2}


@pytest.mark.parametrize("model", ["wikitext", ""])
def test_sections_carry_their_path_and_lists_of_sources_go_with_what_is_below(model):
    text = (
        f"{BODY}\n== 역사 ==\n{BODY}\n=== 고대 ===\n{BODY}\n== 각 주 ==\n{BODY}\n=== 밑 ===\n"
    )
    text += f"{BODY}\n== 그림 ==\n{BODY}"
    cut = cut_page(Page("1", "가", text, model=model), 1000, 100)
    assert [one.section for one in cut.passages] == ["", "역사", "역사 > 고대", "그림"]
    assert cut.counts["sections"] == {"각 주": 2}


def test_passages_hold_whole_sentences_up_to_the_length():
    parts = ["가" * 50 + ".", "나" * 40 + ".", "다" * 30 + "."]
    assert list(pack(parts, 95)) == [(f"{parts[0]} {parts[1]}", tuple(parts[:2])),
                                     (parts[2], (parts[2],))]  # fmt: skip


def test_only_a_sentence_that_is_too_long_is_cut_and_is_no_sentence_then():
    sentence = " ".join(["낱말"] * 100) + "."
    pieces = list(pack([sentence], 60))
    assert all(len(text) <= 60 and not sentences for text, sentences in pieces)
    assert " ".join(text for text, _ in pieces) == sentence


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"namespace": 10}, "other namespace"),
        ({"redirect": True}, "redirect"),
        ({"text": "#넘겨주기 [[나]]"}, "redirect"),
        ({"text": "＃ 넘겨주기: [[나]]"}, "redirect"),
        ({"model": "json"}, "content model json"),
        ({"text": " "}, "no text"),
        ({"title": "가 (동음이의)"}, "disambiguation"),
        ({"text": "가는 다음을 가리킨다.\n나는 마을이다."}, "disambiguation"),
        ({"text": "짧은 글이다."}, "stub"),
        ({"text": "[[a|" * 999, "model": "wikitext"}, "too much unclosed or too long markup"),
    ],
)  # fmt: skip
def test_pages_that_are_no_articles_are_left_out_and_the_reason_is_given(changes, reason):
    page = Page(**{"page_id": "1", "title": "가", "text": BODY} | changes)
    assert cut_page(page, 300, 100).reason == reason
