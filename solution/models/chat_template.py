"""Chat templates: one renderer for scoring, training and generation, verified before use.

The place of an answer is read off a finished conversation: what the template itself writes
before and after an assistant's words. No table of model families is needed for that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from solution.core import UserError, log

Message = dict[str, str]

# A text that no template changes and no exam contains.
ANSWER = "EXAMQA7ANSWER"
# Templates that print the date get this one, so that prompts don't depend on the day.
FIXED_TIME = datetime(2025, 1, 1)
# Put into control tokens that a row contains, and cut out again before tokenisation.
SPLIT = "\U000f7a11"


@dataclass(frozen=True)
class Rendered:
    """A prompt as text: everything before the answer.

    `opening` counts the characters before the user's own words (begin-of-text, system turn,
    the user's header): they are kept when a prompt is too long.
    """

    text: str
    opening: int


@dataclass
class ChatTemplate:
    """How one tokenizer writes a conversation, and as which tokens.

    `variables` are handed to the template (such as `enable_thinking: false`). `add_bos` decides
    whether a begin-of-text token that the tokenizer adds, but the template does not write, is
    put in front (None: yes, as code that calls `tokenizer(text)` trains with it).
    `plain_suffix` ends a prompt where the tokenizer has no chat template.
    """

    tokenizer: Any
    name: str
    variables: Mapping[str, Any] = field(default_factory=dict)
    add_bos: bool | None = None
    folds_system: bool = False
    """Whether the template drops or refuses a system turn (set by `verify`)."""
    _verified: set[str] = field(default_factory=set)

    @property
    def is_chat(self) -> bool:
        """Whether the tokenizer has a chat template."""
        return bool(getattr(self.tokenizer, "chat_template", None))

    def render(
        self, messages: Sequence[Message], plain_suffix: str = "", *, generate: bool = False
    ) -> Rendered:
        """Render the text up to where the answer begins.

        With `generate`, the text ends as the template's generation prompt has it (an opened
        thought, for example); otherwise as in a finished conversation.
        Raises UserError where the template fails or leaves out the answer.
        """
        shown = [{**m, "content": self._without_control(m["content"])} for m in messages]
        if not self.is_chat:
            return Rendered(_folded(shown) + plain_suffix, 0)
        if self.folds_system:
            shown = [{"role": "user", "content": _folded(shown)}]
        if generate:
            text = self._apply(shown, add_generation_prompt=True)
            if text == self._apply(shown):  # a template without a generation prompt
                text = self._before_answer(shown)
        else:
            text = self._before_answer(shown)
        return Rendered(text, max(text.rfind(shown[-1]["content"].strip()), 0))

    def answer(self, text: str) -> str:
        """The answer as the template writes it: some strip the blanks around it."""
        if not self.is_chat:
            return text
        before, after = self._blanks
        return (text if before else text.lstrip()).rstrip(None if not after else "")

    @cached_property
    def end(self) -> str:
        """The text that closes an answer: up to the first control token after it.

        Without a template the end-of-text token; blank where the tokenizer has none.
        """
        after = self._finished([{"role": "user", "content": "?"}])[1] if self.is_chat else ""
        if found := self._control.search(after):
            return after[: found.end()]
        return after if after.strip() else str(self.tokenizer.eos_token or "")

    def tokens(self, text: str) -> tuple[int, ...]:
        """Tokenise a rendered text, with exactly one begin-of-text where there is one."""
        return self.batch_tokens([text])[0]

    def batch_tokens(self, texts: Sequence[str]) -> list[tuple[int, ...]]:
        """Tokenise rendered texts in one call; control tokens from rows stay ordinary text."""
        parts = [text.split(SPLIT) for text in texts]
        flat = [part for some in parts for part in some]
        found = iter(self.tokenizer(flat, add_special_tokens=False).input_ids if flat else [])
        rows = [tuple(id for _ in some for id in next(found)) for some in parts]
        return [self._start(row) + row for row in rows]

    def verify(self, messages: Sequence[Message], marks: Mapping[str, str]) -> None:
        """Check once that the template shows every part of a prompt.

        `messages` hold the texts of `marks` (by the part's name). A system text that is dropped
        or refused goes into the user's turn from then on. Raises UserError naming the template
        where another part, or the answer, is missing.
        """
        key = _folded(messages)
        if not self.is_chat or key in self._verified:
            return
        self.folds_system = False
        try:
            text = self.render(messages).text
        except UserError:
            if messages[0]["role"] != "system":
                raise
            text = ""
        if not text or marks.get("system", "") not in text:
            self.folds_system = True
            text = self.render(messages).text
        missing = [part for part, mark in marks.items() if mark not in text]
        if missing:
            raise UserError(
                f"model {self.name}: its chat template leaves out {', '.join(missing)}: the "
                f"model would not see them. Rendered: {_short(text)!r}. "
                "Use a tokenizer whose chat template writes the content of messages as text."
            )
        self._warn(text)
        self._verified.add(key)

    def _warn(self, text: str) -> None:
        if text.rfind("<think>") > text.rfind("</think>"):
            log(
                f"model {self.name}: the chat template leaves <think> open before the answer, "
                "so labels are read inside a thought. Set chat_template: "
                "{enable_thinking: false} if the template knows it."
            )
        start = self._tokenizer_start
        if start and self.tokens(text)[: len(start)] == start:
            bare = tuple(self.tokenizer(text, add_special_tokens=False).input_ids)
            if bare[: len(start)] != start:
                log(
                    f"model {self.name}: the tokenizer begins texts with "
                    f"{self.tokenizer.decode(list(start))!r}, its chat template does not. It "
                    "is added; `add_bos: false` leaves it out."
                )

    def _before_answer(self, messages: Sequence[Message]) -> str:
        return self._finished(messages)[0]

    def _finished(self, messages: Sequence[Message]) -> tuple[str, str]:
        """What the template writes before and after an assistant's words."""
        text = self._apply([*messages, {"role": "assistant", "content": ANSWER}])
        before, found, after = text.rpartition(ANSWER)
        if not found:
            raise UserError(
                f"model {self.name}: its chat template leaves out the answer of a finished "
                f"conversation. Rendered: {_short(text)!r}. "
                "Use a tokenizer whose chat template writes assistant turns."
            )
        return before, after

    @cached_property
    def _blanks(self) -> tuple[bool, bool]:
        """Whether blanks before and after an assistant's words are kept."""
        asked = {"role": "user", "content": "?"}
        bare = self._finished([asked])
        spaced = [asked, {"role": "assistant", "content": f" {ANSWER} "}]
        before, _, after = self._apply(spaced).rpartition(ANSWER)
        return before == bare[0] + " ", after == " " + bare[1]

    def _apply(
        self, messages: Sequence[Message], *, add_generation_prompt: bool = False
    ) -> str:
        options = {"strftime_now": FIXED_TIME.strftime, **self.variables}
        try:
            return str(
                self.tokenizer.apply_chat_template(
                    list(messages),
                    tokenize=False,
                    add_generation_prompt=add_generation_prompt,
                    **options,
                )
            )
        except Exception as error:  # templates are foreign code and raise anything
            raise UserError(
                f"model {self.name}: its chat template fails ({type(error).__name__}: "
                f"{error}). Correct chat_template.jinja or the variables in `chat_template`."
            ) from error

    def _without_control(self, text: str) -> str:
        return self._control.sub(lambda found: found[0][0] + SPLIT + found[0][1:], text)

    @cached_property
    def _control(self) -> re.Pattern[str]:
        """Special tokens, and added ones that the template itself writes (<think>)."""
        template = str(getattr(self.tokenizer, "chat_template", "") or "")
        added = self.tokenizer.added_tokens_decoder.values()
        texts = {t.content for t in added if t.special or t.content in template}
        texts = {text for text in texts if len(text.strip()) > 1}
        longest = sorted(texts, key=lambda text: (-len(text), text))
        return re.compile("|".join(map(re.escape, longest)) if longest else r"(?!)")

    @cached_property
    def _tokenizer_start(self) -> tuple[int, ...]:
        """The tokens that `tokenizer(text)` puts before a text."""
        whole = tuple(self.tokenizer("a").input_ids)
        bare = tuple(self.tokenizer("a", add_special_tokens=False).input_ids)
        for size in range(len(whole) - len(bare) + 1):
            if whole[size : size + len(bare)] == bare:
                return whole[:size]
        return ()

    def _start(self, ids: tuple[int, ...]) -> tuple[int, ...]:
        start = self._tokenizer_start
        if self.add_bos is False or ids[: len(start)] == start:
            return ()
        return start


def _folded(messages: Sequence[Message]) -> str:
    return "\n\n".join(message["content"] for message in messages)


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:100]} … {text[-100:]}"
