from solution.kowiki.clean import FORMULA
from solution.kowiki.pages import Page, cut_pages, pack
from solution.kowiki.sections import prose, sections, sentences


def split(text):
    return sentences(prose(text))


def test_sentences_end_at_full_stops_but_not_inside_numbers_initials_and_brackets():
    text = "3.1 운동은 1919년에 일어났다. J. 로크는 이렇게 말했다(책에 나온다. 그렇다). 끝이다."
    assert split(text) == [
        "3.1 운동은 1919년에 일어났다.",
        "J. 로크는 이렇게 말했다(책에 나온다. 그렇다).",
        "끝이다.",
    ]


def test_a_quotation_goes_on_with_its_verb():
    text = "그는 “나는 간다.” 라고 말했다. 그리고 떠났다."
    assert split(text) == ["그는 “나는 간다.” 라고 말했다.", "그리고 떠났다."]


def test_a_missing_blank_between_sentences_is_seen():
    assert split("그는 왔다.그녀는 갔다.") == ["그는 왔다.", "그녀는 갔다."]


def test_list_items_unfinished_ends_and_lost_formulas_are_left_out():
    assert split(f"왕의 목록\n값은 {FORMULA}이다. 이것은 문장이다. 그리고 끝이") == [
        "이것은 문장이다."
    ]


def test_sections_carry_their_path_and_sources_are_cut_with_what_lies_below():
    text = "처음.\n== 역사 ==\n가.\n=== 고대 ===\n나.\n== 각주 ==\n다.\n=== 밑 ===\n라."
    text += "\n== 끝 ==\n마."
    assert [(path, body.strip()) for path, body in sections(text)] == [
        ("", "처음."),
        ("역사", "가."),
        ("역사 > 고대", "나."),
        ("끝", "마."),
    ]


def test_passages_hold_whole_sentences_up_to_the_length():
    parts = ["가" * 50 + ".", "나" * 40 + ".", "다" * 30 + "."]
    assert list(pack(parts, 95)) == [f"{parts[0]} {parts[1]}", parts[2]]


def test_only_a_sentence_that_is_too_long_is_cut_and_nothing_of_it_is_lost():
    sentence = " ".join(["낱말"] * 100) + "."
    pieces = list(pack([sentence], 60))
    assert all(len(piece) <= 60 for piece in pieces)
    assert " ".join(pieces) == sentence


BODY = "가나다라는 마을이다. " * 20


def test_pages_that_are_no_articles_are_left_out_and_the_reason_is_told():
    def reason(text=BODY, **changes):
        page = Page("1", changes.pop("title", "가"), text, **changes)
        return cut_pages([page], 300, 100)[0].reason

    assert reason() == ""
    assert reason(namespace=10) == "other namespace"
    assert reason(redirect=True) == "redirect"
    assert reason("#넘겨주기 [[나]]") == "redirect"
    assert reason(title="가 (동음이의)") == "disambiguation"
    assert reason("{{동음이의}}" + BODY, markup=True) == "disambiguation"
    assert reason("가는 다음을 가리킨다.\n나는 마을이다.") == "disambiguation"
    assert reason("짧은 글이다.") == "stub"
