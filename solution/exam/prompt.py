"""Prompts: YAML templates rendered through the tokenizer's chat template or as plain text."""

from __future__ import annotations

from string import Template
from typing import Any

from pydantic import field_validator

from solution.core import Config, load_config, resolve_config
from solution.exam.exam_csv import MAX_CHOICES
from solution.exam.question import Question

BLOCKS = ("paragraph", "question", "question_plus", "choices", "instruction")
IN_USER = ("paragraph", "question", "question_plus", "choices", "labels")
IN_CHOICE = ("label", "text")
IN_CONTEXT = ("title", "text")


class Prompt(Config):
    """A prompt template with the placeholders of `string.Template`.

    A block of `user` whose own field is blank (no paragraph, no question_plus) is omitted.
    """

    name: str
    description: str = ""
    system: str = ""
    user: dict[str, str]
    choice: str = "$label - $text"
    separator: str = "\n"
    """Between two choices."""
    block_separator: str = "\n\n"
    context: str = "[참고] $title: $text"
    """A retrieved passage, appended to the paragraph."""
    labels: tuple[str, ...] = tuple(str(number) for number in range(1, MAX_CHOICES + 1))
    answer: str = "$label"
    plain_suffix: str = ""

    @field_validator("user")
    @classmethod
    def _check_user(cls, user: dict[str, str]) -> dict[str, str]:
        for block, template in user.items():
            if block not in BLOCKS:
                raise ValueError(f"unknown block {block!r}; expected {', '.join(BLOCKS)}")
            _check_placeholders(template, IN_USER)
        used = {name for text in user.values() for name in Template(text).get_identifiers()}
        if not {"question", "choices"} <= used:
            raise ValueError("must use $question and $choices")
        return user

    @field_validator("choice", "answer")
    @classmethod
    def _check_choice(cls, template: str) -> str:
        return _check_placeholders(template, IN_CHOICE)

    @field_validator("context")
    @classmethod
    def _check_context(cls, template: str) -> str:
        return _check_placeholders(template, IN_CONTEXT)

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

    def text(self, question: Question, tokenizer: Any, paragraph: str | None = None) -> str:
        """Return the whole prompt up to the position of the answer.

        Uses the tokenizer's chat template; without a system role there, the system text is
        prepended to the user's. Without a template: plain text that ends in `plain_suffix`.
        """
        messages = self.messages(question, paragraph)
        joined = "\n\n".join(message["content"] for message in messages)
        if not getattr(tokenizer, "chat_template", None):
            return joined + self.plain_suffix
        from jinja2 import TemplateError

        try:
            return _apply_chat_template(tokenizer, messages)
        except TemplateError:
            if not self.system:
                raise
            return _apply_chat_template(tokenizer, [{"role": "user", "content": joined}])

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


def _apply_chat_template(tokenizer: Any, messages: list[dict[str, str]]) -> str:
    return str(
        tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    )


def _check_placeholders(template: str, known: tuple[str, ...]) -> str:
    if not Template(template).is_valid():
        raise ValueError('unescaped "$"; use "$$" for a literal dollar sign')
    for name in Template(template).get_identifiers():
        if name not in known:
            expected = ", ".join(f"${k}" for k in known)
            raise ValueError(f"unknown placeholder ${name}; expected {expected}")
    return template
