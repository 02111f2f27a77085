"""From questions to token ids: the prompt, a label per choice, and what was truncated."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from solution.core import ErrorCollector, UserError
from solution.exam import Prompt, Question
from solution.scoring.prefix_tree import Ids, common_prefix_length

# How a prompt and a label are tokenised together is decided by this much of the prompt's end.
TAIL_TOKENS = 16
TAIL_CHARACTERS = 32
# A question truncated to fewer tokens could hardly be answered.
MIN_PROMPT_TOKENS = 256
# The cut of a passage is searched among so many tokens on either side of the estimate.
NEAR_TOKENS = 32
# Texts per tokenizer call; fast tokenizers use several threads.
TEXTS_A_CALL = 256


@dataclass(frozen=True)
class Encoded:
    """One question in tokens: the prompt, one label per choice, and the number of tokens cut.

    `terminator_ids` end every label in scoring where one begins another ('1' and '10').
    """

    id: str
    prompt_ids: Ids
    label_ids: tuple[Ids, ...]
    truncated_tokens: int = 0
    terminator_ids: Ids = ()


def encode(
    questions: Sequence[Question],
    prompt: Prompt,
    tokenizer: Any,
    max_length: int,
    reserve: int = 0,
) -> list[Encoded]:
    """Encode questions so that prompt, label and `reserve` fit into `max_length` tokens.

    Long questions lose the end of their passage; one that is too long without any loses its
    beginning too, down to MIN_PROMPT_TOKENS. Raises UserError with all questions that are
    longer still or whose labels are not distinct.
    """
    encoder = _Encoder(prompt, tokenizer, max_length - reserve)
    problems = ErrorCollector(f"prompt {prompt.name}, at most {max_length} tokens")
    encoded = []
    for start in range(0, len(questions), TEXTS_A_CALL):
        some = questions[start : start + TEXTS_A_CALL]
        for question, whole in zip(some, encoder.whole(some), strict=True):
            try:
                encoded.append(encoder.encode(question, whole))
            except UserError as error:
                problems.add(f"id {question.id}: {error}")
    problems.raise_if_any("Use a model with a longer context, or fix the prompt or the rows.")
    return encoded


class _Encoder:
    """Encodes questions; remembers how labels are tokenised after equal ends of prompts."""

    def __init__(self, prompt: Prompt, tokenizer: Any, room: int) -> None:
        self.prompt, self.tokenizer, self.room = prompt, tokenizer, room
        self._start = _start_ids(tokenizer)
        self._joins: dict[tuple[Any, ...], tuple[int, tuple[Ids, ...]]] = {}

    def whole(self, questions: Sequence[Question]) -> list[Encoded]:
        """Encode questions without truncation, in one call of the tokenizer."""
        texts = [self.prompt.text(question, self.tokenizer) for question in questions]
        ids = self.tokenizer(texts, add_special_tokens=False).input_ids
        each = zip(questions, texts, ids, strict=True)
        return [self._joined(q, text, self._start + tuple(one)) for q, text, one in each]

    def encode(self, question: Question, whole: Encoded) -> Encoded:
        fitting = whole
        if self._excess(whole) > 0:
            fitting = self._cut(question, whole)
        cut = len(whole.prompt_ids) - len(fitting.prompt_ids)
        end = self._terminator(fitting.label_ids)
        return Encoded(question.id, fitting.prompt_ids, fitting.label_ids, cut, end)

    def _fit(self, question: Question, paragraph: str) -> Encoded:
        text = self.prompt.text(question, self.tokenizer, paragraph)
        return self._joined(question, text, self._ids(text))

    def _joined(self, question: Question, text: str, ids: Ids) -> Encoded:
        answers = tuple(self.prompt.answers(question))
        key = (ids[-TAIL_TOKENS:], text[-TAIL_CHARACTERS:], answers)
        if key not in self._joins:
            self._joins[key] = self._join(ids, text, answers)
        dropped, label_ids = self._joins[key]
        return Encoded(question.id, ids[: len(ids) - dropped], label_ids)

    def _join(
        self, ids: Ids, text: str, answers: tuple[str, ...]
    ) -> tuple[int, tuple[Ids, ...]]:
        """Return how many of the prompt's last tokens belong to the labels, and the labels.

        Some tokenizers merge the end of the prompt with the start of a label: what the prompt
        and every prompt + label have in common is the prompt.
        """
        both = [self._ids(text + answer) for answer in answers]
        kept = min(common_prefix_length(ids, joined) for joined in both)
        return len(ids) - kept, tuple(joined[kept:] for joined in both)

    def _excess(self, encoded: Encoded) -> int:
        label = max(len(ids) for ids in encoded.label_ids) + 1  # and a terminator
        return len(encoded.prompt_ids) + label - self.room

    def _cut(self, question: Question, whole: Encoded) -> Encoded:
        """Encode with the longest beginning of the passage that fits."""
        bare = self._fit(question, "")
        if (excess := self._excess(bare)) > 0:
            if self.room < MIN_PROMPT_TOKENS:
                raise UserError(f"{excess} tokens too long even without its passage")
            if excess >= len(bare.prompt_ids) - len(self._start):
                raise UserError("a label alone is longer than that")
            # Every prompt ends with the question and its choices.
            first = len(self._start)
            kept = bare.prompt_ids[:first] + bare.prompt_ids[first + excess :]
            return replace(bare, prompt_ids=kept)

        def begun(size: int) -> Encoded:
            return self._fit(question, question.paragraph[:size].rstrip())

        def fits(size: int) -> bool:
            return self._excess(begun(size)) <= 0

        size = _longest(len(question.paragraph), self._nearby(question, whole) or fits)
        found = begun(size)
        if self._excess(found) > 0 or fits(size + 1):  # the estimate was wrong
            found = begun(_longest(len(question.paragraph), fits))
        return found

    def _nearby(self, question: Question, whole: Encoded) -> Callable[[int], bool] | None:
        """Return a test whether a beginning of the passage fits, from the tokens near the cut.

        The offsets of the whole text give an estimate of the cut; only what follows the last
        space before it is tokenised again. None where the tokenizer has no offsets.
        """
        text, passage = self.prompt.text(question, self.tokenizer), question.paragraph
        first = text.find(passage)
        if first < 0 or not self.tokenizer.is_fast:
            return None
        spans = self.tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True
        ).offset_mapping
        begins = [begin for begin, _ in spans]
        last = bisect_left(begins, first + len(passage))
        about, tail = last - self._excess(whole), min(last + TAIL_TOKENS, len(begins) - 1)
        blank = text.rfind(" ", first, begins[max(about - NEAR_TOKENS, 0)])
        if blank < 0:
            return None
        far = begins[min(about + NEAR_TOKENS, len(begins) - 1)]
        rest = text[first + len(passage) : begins[tail]]
        room = tail - self._excess(whole) - bisect_left(begins, blank)

        def fits(size: int) -> bool:
            if not blank < first + size <= far:
                return first + size <= blank
            near = text[blank : first + size].rstrip() + rest
            return len(self._ids(near)) - len(self._start) <= room

        return fits

    def _terminator(self, labels: tuple[Ids, ...]) -> Ids:
        if len(set(labels)) < len(labels):
            raise UserError("two of its labels are the same tokens; use other labels")
        if not any(a != b and b[: len(a)] == a for a in labels for b in labels):
            return ()
        end = self.tokenizer.eos_token_id
        if end is None:
            raise UserError("one label begins another; use labels such as A to J")
        return (int(end),)

    def _ids(self, text: str) -> Ids:
        return self._start + tuple(self.tokenizer(text, add_special_tokens=False).input_ids)


def _longest(length: int, fits: Callable[[int], bool]) -> int:
    """Return the largest size below `length` that fits, by bisection."""
    low, high = 0, length
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _start_ids(tokenizer: Any) -> Ids:
    """Return the token that begins plain text; a chat template adds it itself."""
    start = tokenizer.bos_token_id
    if getattr(tokenizer, "chat_template", None) or start is None:
        return ()
    return (int(start),) if tokenizer("a").input_ids[0] == start else ()
