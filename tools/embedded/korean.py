"""Particles that fit the word before them."""

from __future__ import annotations

import re

_PAIRS = {"은": "는", "이": "가", "을": "를", "과": "와"}
_MARK = re.compile(r"(\S)\{(은|이|을|과|으로|이다|이었다|이며)\}")


def final_consonant(syllable: str) -> int:
    """The number of the final consonant of a Hangul syllable, 0 where it has none."""
    return (ord(syllable) - 0xAC00) % 28


def with_particles(text: str) -> str:
    """Turn marks such as `민서{은}` into the particle that the syllable before asks for."""

    def choose(match: re.Match[str]) -> str:
        last, mark = match.groups()
        final = final_consonant(last)
        if mark == "으로":
            return last + ("로" if final in (0, 8) else "으로")
        if mark in ("이다", "이었다", "이며"):
            short = {"이다": "이다", "이었다": "였다", "이며": "이며"}[mark]
            return last + (mark if final else short)
        return last + (mark if final else _PAIRS[mark])

    return _MARK.sub(choose, text)
