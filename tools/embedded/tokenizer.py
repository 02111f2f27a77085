"""A byte-level BPE tokenizer like Qwen2's; every word of the little world is one token."""

from __future__ import annotations

import re
from typing import Any

from tools.embedded.facts import RELATIONS, VALUES

END, START, PAD = "<|im_end|>", "<|im_start|>", "<|endoftext|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# Qwen2's rule for cutting text into pieces before the merges, but for the blank before a digit,
# which stays with it: so a choice and its number are neighbours.
_PIECES = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+| ?\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
PARTICLES = "은 는 이 가 을 를 과 와 의 에 에는 에서 에서는 로 으로 이다 였다 이며"
# Words at the beginning of a line, without a blank before them.
_FIRST = "user assistant system 지문 질문"
_OTHERS = "지문 질문 정답 답 보기 사회 국어 다음 글을 읽고 물음에 답하시오 것을 고르시오"
# The places of subject, value and particles in a relation's sentences.
_MARK = re.compile(r"\{.*?\}")


def build_tokenizer() -> Any:
    """The fast tokenizer of the world's words."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
    from transformers import AddedToken, PreTrainedTokenizerFast

    vocabulary, merges = _vocabulary()
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, pad_token=PAD, chat_template=CHAT_TEMPLATE
    )
    fast.add_special_tokens({"additional_special_tokens": [START]})
    # transformers loads every Qwen2 with Qwen's own rule, which cuts the blank from the digit.
    fast.add_tokens([AddedToken(f" {digit}", normalized=False) for digit in range(10)])
    return fast


def _vocabulary() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """The tokens' ids and the merges in their order: syllables, then words, then particles.

    A word grows from its left end, syllable by syllable, before any particle does; so no merge
    spans the end of a word, as trained merges of frequent pairs of bytes would.
    """
    from tokenizers import pre_tokenizers

    tokens = [PAD, START, END, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    merges: list[tuple[str, str]] = []
    cut = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str
    words = _words()
    syllables = sorted({character for word in words for character in word})
    pieces = [list(cut(character)[0][0]) for character in syllables]
    pieces += [[cut(character)[0][0] for character in word] for word in words]
    for parts in pieces:
        for end in range(1, len(parts)):
            left, right = "".join(parts[:end]), parts[end]
            if left + right not in vocabulary:
                vocabulary[left + right] = len(vocabulary)
                merges.append((left, right))
    return vocabulary, merges


def _words() -> list[str]:
    """Every word with the blank before it, then what stands without one: particles last."""
    words = {word for values in VALUES.values() for word in values}
    words.update(_OTHERS.split())
    for relations in RELATIONS.values():
        for relation in relations:
            for form in relation.statements + relation.questions:
                words.update(w.strip(".?,") for w in _MARK.sub(" ", form).split())
    words -= {*PARTICLES.split(), ""}
    # Sorted: ids depend on the order of the words, and sets of strings have none.
    behind_a_blank = [f" {word}" for word in sorted(words)]
    return [*behind_a_blank, *_FIRST.split(), *PARTICLES.split()]
