"""Particles follow the last syllable."""

import pytest

from tools.embedded.facts import RELATIONS, VALUES
from tools.embedded.korean import final_consonant, with_particles


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        ("민서{은}", "민서는"),
        ("하은{은}", "하은은"),
        ("우산{이}", "우산이"),
        ("모자{이}", "모자가"),
        ("연필{을}", "연필을"),
        ("시계{을}", "시계를"),
        ("장갑{과}", "장갑과"),
        ("거북이{과}", "거북이와"),
        ("우산{이다}", "우산이다"),
        ("우산{이었다}", "우산이었다"),
        ("모자{이었다}", "모자였다"),
    ],
)
def test_the_particle_fits_a_syllable_with_or_without_final_consonant(marked, expected):
    assert with_particles(marked) == expected


@pytest.mark.parametrize(
    ("word", "expected"), [("바다", "바다로"), ("서울", "서울로"), ("북쪽", "북쪽으로")]
)
def test_a_final_rieul_takes_ro_like_no_final_consonant(word, expected):
    assert with_particles(f"{word}{{으로}}") == expected


def test_final_consonants_are_told_apart():
    assert [final_consonant(syllable) for syllable in "가각갈"] == [0, 1, 8]


def test_no_mark_is_left_in_any_sentence_of_the_world():
    for relations in RELATIONS.values():
        for relation in relations:
            for form in relation.statements + relation.questions:
                value = VALUES[relation.values][0]
                said = with_particles(form.replace("{x}", "민서").replace("{y}", value))
                assert "{" not in said
                assert "}" not in said
