import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solution.kowiki.clean import FORMULA, PARSER_LIMIT, clean, clean_by_parser, clean_by_rules

PAGE = """{{정보상자|이름=[[한국]]|지도={{지도|x}}|표={|
| 안 || {{속}}
|}
}}
'''한국'''(韓國, {{llang|en|Korea}}, {{발음}})은 [[나라|국가]]이다.<ref>출처 {{웹|a}}</ref>
[[파일:지도.png|섬네일|[[한국]]의 ''지도'']]
<!-- 숨은 글 -->
== 역사 ==
* [[고조선]]에서 시작했다.<ref name="가" />
{| class="wikitable"
| {| 안쪽 표
|}
|}
[http://example.org 누리집]과 <math>x^2</math> &amp; 끝.
[[분류:나라]] [[en:Korea]]"""


def test_what_a_reader_sees_stays_and_the_rest_goes():
    text, whole = clean_by_rules(PAGE)
    assert whole
    assert [line for line in text.split("\n") if line] == [
        "한국(韓國, Korea)은 국가이다.",
        "== 역사 ==",
        "고조선에서 시작했다.",
        f"누리집과 {FORMULA} & 끝.",
    ]


def test_the_parser_gives_the_same_text():
    ours = clean_by_rules(PAGE)[0].split()
    assert clean_by_parser(PAGE).split() == ours


def test_unpaired_braces_are_finished_by_the_parser():
    text, parsed = clean("{{열린 틀 | 값\n한국은 {{맞는 틀}}나라이다.")
    assert parsed
    assert "한국은 나라이다." in text
    assert "{{" not in text


@pytest.mark.parametrize(
    "piece",
    ["{{", "{|\n", "}}", "<ref>", "[[", "[[a|", "<", "(", "<!--", "''", "[http://", "{{lang|"],
)
def test_no_page_of_unclosed_marks_holds_the_cleaner_up(piece):
    text, parsed = clean(piece * (PARSER_LIMIT // len(piece) * 4) + "끝")
    assert not parsed
    assert "{{" not in text


def test_tables_nested_a_thousand_deep_go():
    page = "앞\n" + "{|\n| 칸\n" * 1000 + "|}\n" * 1000 + "뒤"
    assert clean(page) == ("앞\n\n뒤", False)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.sampled_from(["{{", "}}", "{|", "|}", "[[", "]]", "<ref>", "가", " ", "\n"]))
)
def test_any_markup_is_cleaned_without_a_fault_and_leaves_no_braces(parts):
    text, _ = clean("".join(parts))
    assert "{{" not in text
    assert "{|" not in text
