"""Text to tokens, each a number of at most 50 bits: bigrams, words or Kiwi's morphemes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any, Literal

import numpy as np

Analyser = Literal["bigrams", "words", "kiwi"]
Tokens = tuple[np.ndarray, np.ndarray]
"""The tokens of all texts one after another (uint64), and how many each text has (int64)."""

CODE_BITS = 50
# Nouns, verbs, adjectives, modifiers, adverbs, roots, foreign words, characters, numbers.
_CONTENT = ("NNG", "NNP", "NR", "VV", "VA", "MM", "MAG", "XR", "SL", "SH", "SN")


def analyse(texts: Sequence[str], analyser: Analyser) -> Tokens:
    """The tokens of each text; equal tokens have equal numbers in every process."""
    lowered = [text.lower() for text in texts]
    return _ANALYSERS[analyser](lowered)


def _bigrams(texts: Sequence[str]) -> Tokens:
    """Each character of a word with the one before it; a word's first with a blank.

    The blank tells where words begin, which is worth 1 to 2 points of recall (docs/kowiki.md).
    """
    # A blank before and between the texts: no bigram lies across a border.
    joined = np.frombuffer((" " + " ".join(texts)).encode("utf-32-le"), dtype=np.uint32)
    letter = _letters()[np.minimum(joined, 0xFFFF)]
    kept = np.flatnonzero(letter[1:])
    before = np.where(letter[kept], joined[kept], 0).astype(np.uint64)
    codes = before << np.uint64(21) | joined[kept + 1]
    ends = np.cumsum([len(text) + 1 for text in texts])
    return codes, np.diff(np.searchsorted(kept, ends), prepend=0)


@cache
def _letters() -> np.ndarray:
    """For each character of the first plane whether it is part of words; the rest are."""
    return np.array([chr(code).isalnum() for code in range(0xFFFF)] + [True])


@cache
def _blanks() -> dict[int, str]:
    return {code: " " for code in range(0xFFFF) if not _letters()[code]}


def _words(texts: Sequence[str]) -> Tokens:
    return _numbered([text.translate(_blanks()).split() for text in texts])


def _morphemes(texts: Sequence[str]) -> Tokens:
    """The content morphemes of Kiwi (https://github.com/bab2min/Kiwi), without their tags."""
    return _numbered(
        [
            [token.form for token in tokens if token.tag.partition("-")[0] in _CONTENT]
            for tokens in _kiwi().tokenize(list(texts))
        ]
    )


@cache
def _kiwi() -> Any:
    from kiwipiepy import Kiwi

    return Kiwi()


def _numbered(lists: list[list[str]]) -> Tokens:
    codes = [_number(token) for tokens in lists for token in tokens]
    return np.array(codes, dtype=np.uint64), np.array([len(tokens) for tokens in lists])


@lru_cache(maxsize=1 << 20)
def _number(token: str) -> int:
    digest = hashlib.blake2b(token.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> (64 - CODE_BITS)


_ANALYSERS: dict[Analyser, Callable[[Sequence[str]], Tokens]] = {
    "bigrams": _bigrams,
    "words": _words,
    "kiwi": _morphemes,
}
