"""Prompts: YAML templates rendered through the tokenizer's chat template or as plain text."""

from __future__ import annotations

from string import Template
from typing import Annotated, Literal

from pydantic import AfterValidator, field_validator

from solution.core import Config, load_config, resolve_config
from solution.exam.exam_csv import MAX_CHOICES
from solution.exam.question import Question

Block = Literal["paragraph", "question", "question_plus", "choices", "instruction"]


def _template(*known: str) -> AfterValidator:
    """Validate a template that may use these placeholders."""

    def check(template: str) -> str:
        if not Template(template).is_valid():
            raise ValueError('unescaped "$"; use "$$" for a literal dollar sign')
        for name in Template(template).get_identifiers():
            if name not in known:
                expected = ", ".join(f"${placeholder}" for placeholder in known)
                raise ValueError(f"unknown placeholder ${name}; expected {expected}")
        return template

    return AfterValidator(check)


InUser = Annotated[
    str, _template("paragraph", "question", "question_plus", "choices", "labels")
]
InChoice = Annotated[str, _template("label", "text")]


class Prompt(Config):
    """A prompt template with the placeholders of `string.Template`.

    A block of `user` whose own field is blank (no paragraph, no question_plus) is omitted.
    """

    name: str
    description: str = ""
    system: str = ""
    user: dict[Block, InUser]
    choice: InChoice = "$label - $text"
    separator: str = "\n"
    """Between two choices."""
    block_separator: str = "\n\n"
    context: Annotated[str, _template("title", "text")] = "[참고] $title: $text"
    """A retrieved passage, appended to the paragraph."""
    labels: tuple[str, ...] = tuple(str(number) for number in range(1, MAX_CHOICES + 1))
    answer: InChoice = "$label"
    plain_suffix: str = ""

    @field_validator("user")
    @classmethod
    def _check_user(cls, user: dict[Block, str]) -> dict[Block, str]:
        used = {name for text in user.values() for name in Template(text).get_identifiers()}
        if not {"question", "choices"} <= used:
            raise ValueError("must use $question and $choices")
        return user

    @field_validator("labels")
    @classmethod
    def _check_labels(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        distinct = {label.strip() for label in labels} - {""}
        if not len(labels) == len(distinct) == MAX_CHOICES:
            raise ValueError(f"expected {MAX_CHOICES} different labels, none of them blank")
        return labels

    def messages(
        self, question: Question, paragraph: str | None = None
    ) -> list[dict[str, str]]:
        """Return the chat messages; `paragraph` replaces the question's own (truncation)."""
        user = {"role": "user", "content": self._user(question, paragraph)}
        return [{"role": "system", "content": self.system}, user] if self.system else [user]

    def answers(self, question: Question) -> list[str]:
        """Return the answer text of each choice, such as ['1', '2', '3', '4']."""
        template = Template(self.answer)
        pairs = zip(self.labels, question.choices, strict=False)
        return [template.substitute(label=label, text=text) for label, text in pairs]

    def context_text(self, title: str, text: str) -> str:
        """Format a retrieved passage."""
        return Template(self.context).substitute(title=title, text=text)

    def _user(self, question: Question, paragraph: str | None) -> str:
        labels = self.labels[: len(question.choices)]
        choice = Template(self.choice)
        values = {
            "paragraph": question.paragraph if paragraph is None else paragraph,
            "question": question.question,
            "question_plus": question.question_plus,
            "choices": self.separator.join(
                choice.substitute(label=label, text=text)
                for label, text in zip(labels, question.choices, strict=True)
            ),
            "labels": ", ".join(labels),
        }
        return self.block_separator.join(
            Template(template).substitute(values)
            for block, template in self.user.items()
            if values.get(block, "always").strip()
        )


def load_prompt(name_or_path: str) -> Prompt:
    """Load a prompt by its short name (in solution/prompts/) or its YAML file."""
    return load_config(resolve_config("prompts", name_or_path), Prompt)
