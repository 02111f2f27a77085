"""Particles that follow a word's last sound."""

from __future__ import annotations

import re

# What stands in brackets behind a word is not read with its particle.
_BRACKETS = re.compile(r"\([^()]*\)$")
_DIGITS = {"0": True, "1": True, "3": True, "6": True, "7": True, "8": True}
_PAIRS = {"은": "는", "이": "가", "을": "를", "과": "와", "으로": "로"}


def ends_in_consonant(word: str) -> bool:
    """Whether a word of Hangul ends in a consonant; False for all that is no Hangul."""
    return "가" <= word[-1:] <= "힣" and (ord(word[-1]) - ord("가")) % 28 != 0


def with_particle(word: str, particle: str) -> str:
    """The word with `particle` (은, 이, 을, 과 or 으로) in the form its last sound asks for.

    Words that end in neither Hangul nor a digit take the form after a vowel.
    """
    last = _BRACKETS.sub("", word).rstrip("\"'”’")[-1:]
    if "가" <= last <= "힣":
        final = (ord(last) - ord("가")) % 28
        closed = final != 0 and not (particle == "으로" and final == 8)
    else:
        closed = _DIGITS.get(last, False) and not (particle == "으로" and last in "178")
    return word + (particle if closed else _PAIRS[particle])
