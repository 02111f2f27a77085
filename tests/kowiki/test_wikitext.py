"""Wikitext as a reader sees it: each construct of Korean articles and its text."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solution.kowiki.wikitext import HEADING, HOLE, render

MARKS = [
    "{{",
    "{|\n",
    "}}",
    "<ref>",
    "[[",
    "[[a|",
    "<",
    "(",
    "<!--",
    "''",
    "[http://",
    "{{lang|",
]


def shown(wikitext):
    """The text with the name of each hole in its place."""
    page = render(wikitext)
    text = HOLE.sub(lambda hole: f"⟦{page.name(hole[0])}⟧", page.text)
    return re.sub(r"\n+", "\n", text)


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        # Templates with a reading
        ("'''교토'''({{llang|ja|京都}})는", "교토(京都)는"),
        ("{{lang|en|[[Inequality (mathematics)|inequality]]}}이다", "inequality이다"),
        ("({{llang|ko-hani|{{lang|ko|假}}市}})는", "(假市)는"),
        ("({{llang|en|Land Law|italic=no}})은", "(Land Law)은"),
        ("{{lang-ja|京都市}}는", "京都市는"),
        ("{{nihongo|'''헤이안쿄'''|平安京|lead=yes}}는", "헤이안쿄(平安京)는"),
        ("{{ko-hanja|경도|京都}}는", "경도(京都)는"),
        ("{{zh|c=京都|p=Jīngdū}}라고", "京都라고"),
        ("{{색|빨강|교황}}의", "교황의"),
        ("{{nowrap|63개 조}}로", "63개 조로"),
        ("{{인용문2|법은 왕 위에 있다}}라고", "“법은 왕 위에 있다”라고"),
        ("{{인용문|체포되지 아니한다.|제39조}}", "체포되지 아니한다."),
        ("면적은 {{단위 변환|121.5|km2}}이고", "면적은 121.5 km²이고"),
        ("거리는 {{convert|42|km|mi}}이며", "거리는 42 km이며"),
        ("기온은 {{val|12.4|u=°C}}이다", "기온은 12.4°C이다"),
        ("1995년 {{날짜|3|1}}에", "1995년 3월 1일에"),
        ("{{출생일|1950|5|2}}에", "1950년 5월 2일에"),
        ("{{formatnum:12}}개", "12개"),
        ("{{국기나라|미국}}와", "미국와"),
        # Templates that nobody sees
        ("[[김종직]]{{disambiguation needed|date=2023}}이", "김종직이"),
        ("시행되었다.{{출처 필요}} 이후", "시행되었다. 이후"),
        ("{{정책 정보\n| 이름 = 가\n| 그림 = {{작은글씨|나}}\n}}\n'''가'''는", "가는"),
        ("{{둘러보기 상자}}\n가는", "가는"),
        ("끝났다.{{모르는 각주}}", "끝났다."),
        # What cannot be rendered is marked by name
        ("인구는 {{인구|가상시}}명이다", "인구는 ⟦인구⟧명이다"),
        ("{{국기나라|KOR}}와", "⟦국기나라⟧와"),
        ("{{convert|10|to|20|km}}이다", "⟦convert⟧이다"),
        ("이때 <math>x^2+1>0</math>은", "이때 ⟦<math>⟧은"),
        ("주소는 http://a.kr 이다", "주소는 ⟦URL⟧ 이다"),
        ("10<sup>n+x</sup>이다", "10⟦<sup>⟧이다"),
        # Brackets lose the part that cannot be rendered
        ("'''가상시'''(假想市, {{문화어|가상시}})는", "가상시(假想市)는"),
        ("'''가상시''' ({{발음|가}})는", "가상시는"),
        # Links
        ("[[CSI: 마이애미]]에 [[GTA: 산|산]]을", "CSI: 마이애미에 산을"),
        ("[[wikt:연암|연암]]과 [[s:열하일기]]", "연암과 열하일기"),
        ("[[:en:Bong|영어판]]에 [[:분류:나라]]", "영어판에 분류:나라"),
        ("나라이다. [[en:Korea]][[zh-min-nan:Hân]] [[분류:나라]]", "나라이다."),
        ("[[파일:a.jpg|섬네일|[[조선]]의 {{출처|[[지도]]}}]]\n공납은", "공납은"),
        ("[http://example.org 누리집]과 [http://a.kr]", "누리집과"),
        # Tags, entities, comments
        ("물은 H<sub>2</sub>O, 10<sup>8</sup>", "물은 H₂O, 10⁸"),
        ("영화 <Parasite>는, a<b이고 c>b", "영화 <Parasite>는, a<b이고 c>b"),
        ("<춘향전>은 </춘향전>이다", "<춘향전>은 </춘향전>이다"),
        ("제도이다.<ref group='주'>{{책|a}}</ref> 또<ref name='a>b' />", "제도이다. 또"),
        ("<small>작은</small> <span style='a'>글</span><br />씨", "작은 글 씨"),
        ("A &amp; B&nbsp;C<nowiki>''D''</nowiki>", "A & B C''D''"),
        ("앞<!-- {{동음이의}} -->뒤<!-- 끝없는", "앞뒤"),
        ("<poem>\n산은 높다.\n</poem>", "산은 높다."),
        ("<gallery>\n파일:a.jpg|왕이다.\n</gallery>끝", "끝"),
        # Others
        ("-{京都}-라고 -{zh-cn:中;zh-tw:臺}-", "京都라고 中"),
        ("가\n* [[나]]의 것\n: 들여쓰기\n----\n끝", "가\n나의 것\n들여쓰기\n끝"),
        ("앞\n{| class=\"a\"\n| {{칸}} || 둘\n|}\n뒤", "앞\n뒤"),
        ("*{| class=\"a\"\n! 지역\n|-\n| 경기\n|}\n뒤", "뒤"),
        ("가\n== 역사 ==\n나", f"가\n{HEADING}2역사\n나"),
        ("__목차없음__가", "가"),
        ("{{정보\n| 이름 = {{짝없음\n| 직업 = 의적\n'''길동'''은", "정보\n길동은"),
    ],
)  # fmt: skip
def test_a_construct_is_read_as_in_the_browser(wikitext, text):
    assert shown(wikitext) == text


@pytest.mark.parametrize("text", ["{{동음이의}}\n* [[가]]", "{{ 동명이인 }}", "{{Disambig}}"])
def test_a_disambiguation_template_leaves_the_page_out(text):
    assert render(text).reason == "disambiguation"


@pytest.mark.parametrize(
    "text",
    ["{{disambiguation needed}}", "<!-- {{동음이의}} -->", "<nowiki>{{동음이의}}</nowiki>"],
)
def test_other_templates_comments_and_nowiki_do_not(text):
    assert render(f"가{text}는 나라이다.").reason == ""


@pytest.mark.parametrize("mark", MARKS)
def test_unclosed_markup_without_end_takes_no_time(mark):
    assert "{{" not in render(mark * (400_000 // len(mark)) + "끝").text


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.sampled_from([*MARKS, "|", "|}", "]]", "</ref>", "가", " ", "\n", "==", "*"]))
)
def test_any_markup_is_rendered_and_leaves_no_braces(parts):
    text = render("".join(parts)).text
    assert "{{" not in text and "{|" not in text
