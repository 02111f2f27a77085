"""Prompts: templates in YAML, rendered through the tokenizer's chat template or plainly."""

from __future__ import annotations

from string import Template
from typing import Any

from pydantic import field_validator

from solution.core import Config, load_config, resolve_config
from solution.exam.question import Question
from solution.exam.reader import MOST

BLOCKS = ("paragraph", "question", "question_plus", "choices", "instruction")
IN_USER = ("paragraph", "question", "question_plus", "choices", "labels")
IN_CHOICE = ("label", "text")
IN_CONTEXT = ("title", "text")


class Prompt(Config):
    """How a question is put to a model; placeholders are those of `string.Template`.

    A block of `user` whose own field is blank (no paragraph, no question_plus) is left out.
    `separator` stands between two choices, `block_separator` between two blocks.
    """

    name: str
    description: str = ""
    system: str = ""
    user: dict[str, str]
    choice: str = "$label - $text"
    separator: str = "\n"
    block_separator: str = "\n\n"
    context: str = "[참고] $title: $text"
    """A passage of a wiki, as it stands behind the paragraph."""
    labels: tuple[str, ...] = tuple(str(number) for number in range(1, MOST + 1))
    answer: str = "$label"
    plain_suffix: str = ""

    @field_validator("user")
    @classmethod
    def _known_blocks(cls, user: dict[str, str]) -> dict[str, str]:
        for block, template in user.items():
            if block not in BLOCKS:
                raise ValueError(f"{block!r} is no block; expected {', '.join(BLOCKS)}")
            _check_placeholders(template, IN_USER)
        used = {name for text in user.values() for name in Template(text).get_identifiers()}
        if not {"question", "choices"} <= used:
            raise ValueError("must use $question and $choices")
        return user

    @field_validator("choice", "answer")
    @classmethod
    def _known_in_choice(cls, template: str) -> str:
        _check_placeholders(template, IN_CHOICE)
        return template

    @field_validator("context")
    @classmethod
    def _known_in_context(cls, template: str) -> str:
        _check_placeholders(template, IN_CONTEXT)
        return template

    @field_validator("labels")
    @classmethod
    def _distinct(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        if len(labels) != MOST or len({label.strip() for label in labels} - {""}) != MOST:
            raise ValueError(f"expected {MOST} different labels, none of them blank")
        return labels

    def messages(
        self, question: Question, paragraph: str | None = None
    ) -> list[dict[str, str]]:
        """The chat that asks `question`; `paragraph` replaces its own (after truncation)."""
        user = {"role": "user", "content": self._user(question, paragraph)}
        return [{"role": "system", "content": self.system}, user] if self.system else [user]

    def text(self, question: Question, tokenizer: Any, paragraph: str | None = None) -> str:
        """The whole text up to where the answer begins.

        Rendered by the tokenizer's chat template; where that knows no system role the system
        text opens the user's; where there is no template, plainly with `plain_suffix` last.
        """
        messages = self.messages(question, paragraph)
        folded = "\n\n".join(message["content"] for message in messages)
        if not getattr(tokenizer, "chat_template", None):
            return folded + self.plain_suffix
        from jinja2 import TemplateError

        try:
            return _render(tokenizer, messages)
        except TemplateError:
            if not self.system:
                raise
            return _render(tokenizer, [{"role": "user", "content": folded}])

    def answers(self, question: Question) -> list[str]:
        """The answer's text for each of the row's own choices, such as ['1', '2', '3', '4']."""
        template = Template(self.answer)
        pairs = zip(self.labels, question.choices, strict=False)
        return [template.substitute(label=label, text=text) for label, text in pairs]

    def context_text(self, title: str, text: str) -> str:
        """A passage as a question's paragraph shows it."""
        return Template(self.context).substitute(title=title, text=text)

    def _user(self, question: Question, paragraph: str | None) -> str:
        own = self.labels[: len(question.choices)]
        choice = Template(self.choice)
        lines = zip(own, question.choices, strict=True)
        values = {
            "paragraph": question.paragraph if paragraph is None else paragraph,
            "question": question.question,
            "question_plus": question.question_plus,
            "choices": self.separator.join(
                choice.substitute(label=label, text=text) for label, text in lines
            ),
            "labels": ", ".join(own),
        }
        return self.block_separator.join(
            Template(template).substitute(values)
            for block, template in self.user.items()
            if values.get(block, "always").strip()
        )


def load_prompt(name_or_path: str) -> Prompt:
    """A prompt by its short name (in solution/prompts/) or its YAML file.

    Raises UserError naming the file and the key, unknown placeholders included.
    """
    return load_config(resolve_config("prompts", name_or_path), Prompt)


def _render(tokenizer: Any, messages: list[dict[str, str]]) -> str:
    return str(
        tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    )


def _check_placeholders(template: str, known: tuple[str, ...]) -> None:
    if not Template(template).is_valid():
        raise ValueError("a lone $ stands there; write $$ for the sign itself")
    for name in Template(template).get_identifiers():
        if name not in known:
            expected = ", ".join(f"${k}" for k in known)
            raise ValueError(f"unknown placeholder ${name}; expected {expected}")
