"""Every word of the world is one token, whatever the text around it."""

import pytest

from tools.embedded.facts import VALUES
from tools.embedded.tokenizer import PARTICLES
from tools.embedded.world import build_world


def _ids(words, text):
    return words(text, add_special_tokens=False).input_ids


def test_every_name_and_thing_is_one_token_of_its_own(words):
    every = {word for values in VALUES.values() for word in values}
    ids = {word: _ids(words, f" {word}") for word in every}
    assert [word for word in every if len(ids[word]) != 1] == []
    assert len({tuple(found) for found in ids.values()}) == len(every)


def test_every_number_of_a_choice_is_one_token_of_its_own(words):
    ids = [_ids(words, f" {number}") for number in range(1, 6)]
    assert all(len(found) == 1 for found in ids)
    assert len({found[0] for found in ids}) == 5


def test_a_choice_is_its_word_its_number_and_the_line_break(words):
    assert len(_ids(words, " 연필 1\n 우산 2\n")) == 6


def test_text_comes_back_from_its_tokens(words):
    text = "지문: 민서는 시장에서 연필을 샀다.\n 연필 1\n질문: 민서가 산 것은?<|im_end|>\n"
    assert words.decode(_ids(words, text)) == text


@pytest.mark.parametrize("particle", PARTICLES.split())
def test_every_word_keeps_its_token_before_a_particle(words, particle):
    every = {word for values in VALUES.values() for word in values}
    behind = _ids(words, particle)
    assert [w for w in every if _ids(words, f" {w}{particle}")[1:] != behind] == []


def test_the_same_seed_draws_the_same_world():
    assert build_world(3) == build_world(3)
    assert build_world(3) != build_world(4)
