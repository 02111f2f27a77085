"""The forms of questions on passages written for these tests: keys, boxes, orders, blanks."""

import random
import re

import pytest

from solution.kowiki import Passage
from solution.kowiki.extract import change_number, extract, is_closed
from solution.kowiki.question_forms import FORMS, LABELS, Wiki

TEXT = (
    "가람시는 1950년에 세워진 도시이다. 인구는 12만 명이며 다섯 개의 구로 이루어진다. "
    "시청은 1962년에 지금의 자리로 옮겼다. 도시의 북쪽에는 낮은 산이 이어져 있다. "
    "남쪽에는 넓은 들이 있어 벼농사를 많이 짓는다. 해마다 5월에 강변에서 축제가 열린다."
)


def passage(text, title="가람시", page="1", number=0):
    sentences = tuple(re.split(r"(?<=다\.) ", text))
    return Passage(f"{page}-{number}", page, title, "", text, sentences)


def drafts(form, seed, *passages):
    wiki, rng = Wiki(extract(passages)), random.Random(seed)
    return [draft for facts in wiki.facts for draft in FORMS[form](facts, wiki, rng)]


@pytest.mark.parametrize("seed", range(20))
def test_a_box_is_keyed_by_the_statements_that_the_passage_holds(seed):
    (draft,) = drafts("box", seed, passage(TEXT))
    lines = dict(line.split(". ", 1) for line in draft.box.split("\n"))
    assert list(lines) == list(LABELS)
    right = ", ".join(label for label, line in lines.items() if line in TEXT)
    assert draft.choices[0] == right
    assert len(set(draft.choices)) == 5
    assert draft.with_passage


@pytest.mark.parametrize("seed", range(20))
def test_an_order_is_keyed_by_the_years_which_are_not_shown(seed):
    years = {1910: "작은 학교가 들어섰다.", 1931: "철도가 놓였다.", 1948: "시장이 문을 열었다."}
    years |= {1975: "큰 다리가 강 위에 놓였다.", 1990: "박물관이 새로 지어졌다."}
    told = [f"{year}년 가람시에는 {event}" for year, event in years.items()]
    (draft,) = drafts("order", seed, passage(" ".join(told)))
    lines = dict(line.split(". ", 1) for line in draft.box.split("\n"))
    assert not re.search(r"\d", draft.box)
    event_years = {event: year for year, event in years.items()}
    dated = {
        label: event_years[line.removeprefix("가람시에는 ")] for label, line in lines.items()
    }
    assert draft.choices[0] == " - ".join(sorted(dated, key=dated.__getitem__))
    assert len(set(draft.choices)) == 5


def test_a_blank_is_filled_by_a_name_of_its_kind_that_fits_the_particle():
    towns = ["하람읍", "두솔읍", "새봄읍", "한들읍", "너른읍", "은빛읍"]
    pages = [
        passage(f"{town}은 나라의 동쪽 바닷가에 있는 작은 마을이다.", town, str(i))
        for i, town in enumerate(towns, start=2)
    ]
    text = (
        "가람시는 오래전부터 바닷길을 따라 하람읍과 물고기를 주고받으며 함께 자라난 도시이다."
    )
    every = [passage(text), *pages]
    (draft,) = [d for d in drafts("name", 0, *every) if d.passage.title == "가람시"]
    assert draft.choices[0] == "하람읍"
    assert set(draft.choices[1:]) < set(towns)
    assert "(   )과 물고기를" in draft.question
    assert "하람읍" not in draft.question


def test_sentences_that_lean_on_others_ask_nothing():
    assert is_closed("가람시는 도시이다.")
    for sentence in ("그러나 가람시는 도시이다.", "이는 가람시이다.", "가람시는 도시"):
        assert not is_closed(sentence)


@pytest.mark.parametrize("seed", range(10))
def test_a_changed_sentence_differs_in_one_number_and_no_decade(seed):
    rng = random.Random(seed)
    sentence = "인구는 12만 명이며 5월에 3개의 축제가 열린다."
    other = change_number(sentence, rng)
    ours, theirs = (re.findall(r"\d+", s) for s in (sentence, other))
    assert sum(a != b for a, b in zip(ours, theirs, strict=True)) == 1
    assert change_number("1960년대에는 강이 넘쳤다.", rng) == ""
