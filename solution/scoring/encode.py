"""From questions to token ids: the prompt, a label per choice, and what was truncated."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from solution.core import ErrorCollector, UserError
from solution.exam import Prompt, Question
from solution.models import SPLIT, ChatTemplate, Rendered
from solution.scoring.prefix_tree import Ids, common_prefix_length

# How a prompt and a label are tokenised together is decided by this much of the prompt's end.
TAIL_TOKENS = 16
TAIL_CHARACTERS = 32
# A question truncated to fewer tokens could hardly be answered.
MIN_PROMPT_TOKENS = 256
# The cut of a passage is searched among so many tokens on either side of the estimate.
NEAR_TOKENS = 32
# Parts of a question that a template must show.
MARKED = ("paragraph", "question", "question_plus", "choices")
# Texts per tokenizer call; fast tokenizers use several threads.
TEXTS_A_CALL = 256


@dataclass(frozen=True)
class Encoded:
    """One question in tokens: the prompt, one label per choice, and the number of tokens cut.

    `end_ids` is what the template writes after an answer: training ends every label with it,
    scoring where one label begins another ('1' and '10').
    """

    id: str
    prompt_ids: Ids
    label_ids: tuple[Ids, ...]
    truncated_tokens: int = 0
    end_ids: Ids = ()

    @property
    def ambiguous(self) -> bool:
        """Whether one label begins another."""
        labels = self.label_ids
        return any(a != b and b[: len(a)] == a for a in labels for b in labels)

    @property
    def terminator_ids(self) -> Ids:
        """The tokens that end every label in scoring: `end_ids` where labels are ambiguous."""
        return self.end_ids if self.ambiguous else ()


def encode(
    questions: Sequence[Question],
    prompt: Prompt,
    chat: ChatTemplate,
    max_length: int,
    reserve: int = 0,
    *,
    generate: bool = False,
) -> list[Encoded]:
    """Encode questions so that prompt, label and `reserve` fit into `max_length` tokens.

    The template is verified first. With `generate`, prompts end with the generation prompt.
    Long questions lose the end of their passage; one that is too long without any loses the
    beginning of the user's text too, down to MIN_PROMPT_TOKENS: begin-of-text and the openings
    of the turns are kept. Raises UserError with all questions that are longer still or whose
    labels are not distinct.
    """
    verify(prompt, chat)
    encoder = _Encoder(prompt, chat, max_length - reserve, generate)
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

    def __init__(
        self, prompt: Prompt, chat: ChatTemplate, room: int, generate: bool = False
    ) -> None:
        self.prompt, self.chat, self.room, self.generate = prompt, chat, room, generate
        self._joins: dict[tuple[Any, ...], tuple[int, tuple[Ids, ...], Ids]] = {}

    def whole(self, questions: Sequence[Question]) -> list[Encoded]:
        """Encode questions without truncation, in one call of the tokenizer."""
        texts = [self._render(question).text for question in questions]
        each = zip(questions, texts, self.chat.batch_tokens(texts), strict=True)
        return [self._joined(question, text, ids) for question, text, ids in each]

    def encode(self, question: Question, whole: Encoded) -> Encoded:
        """Truncate to the room where needed, and check the labels."""
        fitting = whole
        if self._excess(whole) > 0:
            fitting = self._cut(question, whole)
        if len(set(fitting.label_ids)) < len(fitting.label_ids):
            raise UserError("two of its labels are the same tokens; use other labels")
        if fitting.ambiguous and not fitting.end_ids:
            raise UserError("one label begins another; use labels such as A to J")
        cut = len(whole.prompt_ids) - len(fitting.prompt_ids)
        return replace(fitting, truncated_tokens=cut)

    def _render(self, question: Question, paragraph: str | None = None) -> Rendered:
        messages = self.prompt.messages(question, paragraph)
        return self.chat.render(messages, self.prompt.plain_suffix, generate=self.generate)

    def _fit(self, question: Question, paragraph: str) -> Encoded:
        text = self._render(question, paragraph).text
        return self._joined(question, text, self.chat.tokens(text))

    def _joined(self, question: Question, text: str, ids: Ids) -> Encoded:
        answers = tuple(map(self.chat.answer, self.prompt.answers(question)))
        key = (ids[-TAIL_TOKENS:], text[-TAIL_CHARACTERS:], answers)
        if key not in self._joins:
            self._joins[key] = self._join(ids, text, answers)
        dropped, label_ids, end_ids = self._joins[key]
        return Encoded(question.id, ids[: len(ids) - dropped], label_ids, end_ids=end_ids)

    def _join(
        self, ids: Ids, text: str, answers: tuple[str, ...]
    ) -> tuple[int, tuple[Ids, ...], Ids]:
        """Return how many of the prompt's last tokens belong to the labels, labels and end.

        Some tokenizers merge the end of the prompt with the start of a label: what the prompt
        and every prompt + label have in common is the prompt.
        """
        both = self.chat.batch_tokens([text + answer for answer in answers])
        kept = min(common_prefix_length(ids, joined) for joined in both)
        ended = self.chat.tokens(text + answers[0] + self.chat.end)
        end = ended[common_prefix_length(both[0], ended) :]
        return len(ids) - kept, tuple(joined[kept:] for joined in both), end

    def _excess(self, encoded: Encoded) -> int:
        label = max(len(ids) for ids in encoded.label_ids) + len(encoded.end_ids)
        return len(encoded.prompt_ids) + label - self.room

    def _cut(self, question: Question, whole: Encoded) -> Encoded:
        """Encode with the longest beginning of the passage that fits."""
        bare = self._fit(question, "")
        if (excess := self._excess(bare)) > 0:
            if self.room < MIN_PROMPT_TOKENS:
                raise UserError(f"{excess} tokens too long even without its passage")
            rendered = self._render(question, "")
            opening = self.chat.tokens(rendered.text[: rendered.opening])
            first = common_prefix_length(opening, bare.prompt_ids)
            if excess >= len(bare.prompt_ids) - first:
                raise UserError(f"{excess} tokens too long even without its passage")
            # The user's turn ends with the question and its choices.
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
        text, passage = self._render(question).text, question.paragraph
        first, tokenizer = text.find(passage), self.chat.tokenizer
        if first < 0 or SPLIT in text or not tokenizer.is_fast:
            return None
        spans = tokenizer(
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
            return len(tokenizer(near, add_special_tokens=False).input_ids) <= room

        return fits


def verify(prompt: Prompt, chat: ChatTemplate) -> None:
    """Check that the model's template shows every part of the prompt (see ChatTemplate)."""
    marks = {part: f"EXAMQA7{part.upper()}" for part in MARKED}
    question = Question(
        "verify",
        marks["paragraph"],
        marks["question"],
        tuple(f"{marks['choices']}{number}" for number in range(1, 6)),
        question_plus=marks["question_plus"],
    )
    messages = prompt.messages(question)
    asked = messages[-1]["content"]
    marks = {part: mark for part, mark in marks.items() if mark in asked}
    if prompt.system:
        marks["system"] = prompt.system.strip()
    chat.verify(messages, marks)


def _longest(length: int, fits: Callable[[int], bool]) -> int:
    """Return the largest size below `length` that fits, by bisection."""
    low, high = 0, length
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
