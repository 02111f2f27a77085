"""From questions to token ids: where the prompt ends, where the answers begin, what was cut."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from solution.core import ErrorCollector, UserError
from solution.exam import Prompt, Question
from solution.scoring.tree import Ids, common

# Prompts that end alike meet their answers alike; this much of the end decides it.
TAIL_TOKENS = 16
TAIL_CHARACTERS = 32
# With less room than this what is left of a question could hardly be answered.
LEAST_TOKENS = 256
# A passage's cut is looked for among so many tokens on either side of where it should be.
NEAR_TOKENS = 32
# Texts that are tokenised in one call, in threads where the tokenizer has them.
TEXTS_A_CALL = 256


@dataclass(frozen=True)
class Encoded:
    """One question in tokens: the prompt, one answer for each choice, and what was left out.

    `end_ids` close every answer in scoring where one answer begins another ('1' and '10').
    """

    id: str
    prompt_ids: Ids
    answer_ids: tuple[Ids, ...]
    truncated_tokens: int = 0
    end_ids: Ids = ()


def encode(
    questions: Sequence[Question],
    prompt: Prompt,
    tokenizer: Any,
    max_length: int,
    reserve: int = 0,
) -> list[Encoded]:
    """Encode questions so that prompt, answer and `reserve` fit into `max_length` tokens.

    Too long questions lose the end of their passage; one that is too long without any loses its
    beginning too, down to LEAST_TOKENS, so that every row is answered; what went is counted.
    Raises UserError with all questions that are longer still or whose answers can't be told
    apart.
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
    problems.raise_if_any("Take a model with a longer context, or mend the prompt or the rows.")
    return encoded


class _Encoder:
    """Encodes one question after another, remembering how answers join their prompts."""

    def __init__(self, prompt: Prompt, tokenizer: Any, room: int) -> None:
        self.prompt, self.tokenizer, self.room = prompt, tokenizer, room
        self._start = _start_ids(tokenizer)
        self._joins: dict[tuple[Any, ...], tuple[int, tuple[Ids, ...]]] = {}

    def whole(self, questions: Sequence[Question]) -> list[Encoded]:
        """The questions with all of their passages, tokenised in one call."""
        texts = [self.prompt.text(question, self.tokenizer) for question in questions]
        ids = self.tokenizer(texts, add_special_tokens=False).input_ids
        each = zip(questions, texts, ids, strict=True)
        return [self._joined(q, text, self._start + tuple(one)) for q, text, one in each]

    def encode(self, question: Question, whole: Encoded) -> Encoded:
        fitting = whole
        if self._excess(whole) > 0:
            fitting = self._cut(question, whole)
        cut = len(whole.prompt_ids) - len(fitting.prompt_ids)
        end = self._end(fitting.answer_ids)
        return Encoded(question.id, fitting.prompt_ids, fitting.answer_ids, cut, end)

    def _fit(self, question: Question, paragraph: str) -> Encoded:
        text = self.prompt.text(question, self.tokenizer, paragraph)
        return self._joined(question, text, self._ids(text))

    def _joined(self, question: Question, text: str, ids: Ids) -> Encoded:
        answers = tuple(self.prompt.answers(question))
        key = (ids[-TAIL_TOKENS:], text[-TAIL_CHARACTERS:], answers)
        if key not in self._joins:
            self._joins[key] = self._join(ids, text, answers)
        dropped, answer_ids = self._joins[key]
        return Encoded(question.id, ids[: len(ids) - dropped], answer_ids)

    def _join(
        self, ids: Ids, text: str, answers: tuple[str, ...]
    ) -> tuple[int, tuple[Ids, ...]]:
        """How many of the prompt's last tokens belong to the answers, and the answers' tokens.

        Some tokenizers join the last of the prompt with the first of the answer: what the
        prompt and every prompt + answer have in common is the prompt.
        """
        both = [self._ids(text + answer) for answer in answers]
        kept = min(common(ids, joined) for joined in both)
        return len(ids) - kept, tuple(joined[kept:] for joined in both)

    def _excess(self, encoded: Encoded) -> int:
        answer = max(len(ids) for ids in encoded.answer_ids) + 1  # and one token that ends it
        return len(encoded.prompt_ids) + answer - self.room

    def _cut(self, question: Question, whole: Encoded) -> Encoded:
        """The encoding with the longest beginning of the passage that still fits."""
        bare = self._fit(question, "")
        if (excess := self._excess(bare)) > 0:
            if self.room < LEAST_TOKENS:
                raise UserError(f"{excess} tokens too long even without its passage")
            if excess >= len(bare.prompt_ids) - len(self._start):
                raise UserError("an answer alone is longer than that")
            # The question and its choices stand last in every prompt.
            first = len(self._start)
            kept = bare.prompt_ids[:first] + bare.prompt_ids[first + excess :]
            return replace(bare, prompt_ids=kept)

        def begun(size: int) -> Encoded:
            return self._fit(question, question.paragraph[:size].rstrip())

        def fits(size: int) -> bool:
            return self._excess(begun(size)) <= 0

        size = _longest(len(question.paragraph), self._nearby(question, whole) or fits)
        found = begun(size)
        if self._excess(found) > 0 or fits(size + 1):  # looked for in the wrong place
            found = begun(_longest(len(question.paragraph), fits))
        return found

    def _nearby(self, question: Question, whole: Encoded) -> Callable[[int], bool] | None:
        """Whether a beginning of the passage fits, found out from the tokens around the cut.

        The whole text's offsets say about where the cut must be; only what stands behind the
        last blank before that place is tokenised again. None where that can't be done.
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

    def _end(self, answers: tuple[Ids, ...]) -> Ids:
        if len(set(answers)) < len(answers):
            raise UserError(
                "two of its answers are the same tokens; give the prompt other labels"
            )
        begins = any(a != b and b[: len(a)] == a for a in answers for b in answers)
        if not begins:
            return ()
        end = self.tokenizer.eos_token_id
        if end is None:
            raise UserError("one answer begins another; give the prompt labels such as A to J")
        return (int(end),)

    def _ids(self, text: str) -> Ids:
        return self._start + tuple(self.tokenizer(text, add_special_tokens=False).input_ids)


def _longest(length: int, fits: Callable[[int], bool]) -> int:
    """The most characters below `length` that fit, where more never fit better; by halving."""
    low, high = 0, length
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _start_ids(tokenizer: Any) -> Ids:
    """The token that opens a plain text; a chat template writes it itself."""
    start = tokenizer.bos_token_id
    if getattr(tokenizer, "chat_template", None) or start is None:
        return ()
    return (int(start),) if tokenizer("a").input_ids[0] == start else ()
