"""From questions to token ids: where the prompt ends, where the answers begin, what was cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from solution.base import Problems, UserError
from solution.exam import Prompt, Question
from solution.scoring.tree import Ids, common

# Prompts that end alike meet their answers alike; this much of the end decides it.
TAIL_TOKENS = 16
TAIL_CHARACTERS = 32
# With less room than this what is left of a question could hardly be answered.
LEAST_TOKENS = 256


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
    problems = Problems(f"prompt {prompt.name}, at most {max_length} tokens")
    encoded = []
    for question in questions:
        try:
            encoded.append(encoder.encode(question))
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

    def encode(self, question: Question) -> Encoded:
        whole = self._fit(question, question.paragraph)
        fitting = whole
        if self._excess(whole) > 0:
            fitting = self._cut(question, whole)
        cut = len(whole.prompt_ids) - len(fitting.prompt_ids)
        end = self._end(fitting.answer_ids)
        return Encoded(question.id, fitting.prompt_ids, fitting.answer_ids, cut, end)

    def _fit(self, question: Question, paragraph: str) -> Encoded:
        text = self.prompt.text(question, self.tokenizer, paragraph)
        ids = self._ids(text)
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
        best = self._fit(question, "")
        if (excess := self._excess(best)) > 0:
            if self.room < LEAST_TOKENS:
                raise UserError(f"{excess} tokens too long even without its passage")
            # The question and its choices stand last in every prompt.
            first = len(self._start)
            kept = best.prompt_ids[:first] + best.prompt_ids[first + excess :]
            return replace(best, prompt_ids=kept)
        low, high = 0, len(question.paragraph)
        while high - low > 1:
            middle = (low + high) // 2
            tried = self._fit(question, question.paragraph[:middle].rstrip())
            if self._excess(tried) > 0:
                high = middle
            else:
                low, best = middle, tried
        return best

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


def _start_ids(tokenizer: Any) -> Ids:
    """The token that opens a plain text; a chat template writes it itself."""
    start = tokenizer.bos_token_id
    if getattr(tokenizer, "chat_template", None) or start is None:
        return ()
    return (int(start),) if tokenizer("a").input_ids[0] == start else ()
