"""Asking a teacher model for questions: an OpenAI-compatible endpoint, or a local model."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from solution.core import Config, UserError, load_config, resolve_config
from solution.models import ModelReference, load

WAIT_SECONDS = 1.0
PATIENCE_SECONDS = 120.0


class Teacher(Config):
    """Who writes the questions, and what it is told."""

    name: str
    endpoint: str | None = None
    """Base address of an OpenAI-compatible server, such as http://127.0.0.1:8000/v1."""
    model: str | None = None
    key_variable: str = "OPENAI_API_KEY"
    """Environment variable that holds the key; the key itself stands in no file."""
    local: ModelReference | None = None
    questions_per_passage: int = Field(default=2, ge=1, le=10)
    shown_share: float = Field(default=0.5, ge=0, le=1)
    """Share of the passages that stand with their questions."""
    temperature: float = Field(default=0.7, ge=0)
    max_tokens: int = Field(default=1200, ge=16)
    retries: int = Field(default=2, ge=0)
    price_per_million_tokens: tuple[float, float] | None = None
    """Of input and output, in any currency; the report then holds the cost."""
    system: str
    user: str
    shown_form: str
    hidden_form: str

    @model_validator(mode="after")
    def _one_of_two(self) -> Teacher:
        if (self.local is None) == (self.endpoint is None) or bool(self.endpoint) != bool(
            self.model
        ):
            raise ValueError("give either endpoint and model, or local")
        return self


class Written(BaseModel):
    """What the teacher must answer; its schema goes to servers that constrain their output."""

    model_config = ConfigDict(extra="forbid")

    question: str = Field(min_length=5)
    choices: list[str] = Field(min_length=4, max_length=5)
    answer: int = Field(ge=1, le=5)

    @model_validator(mode="after")
    def _answer_is_a_choice(self) -> Written:
        if self.answer > len(self.choices):
            raise ValueError("answer is no choice")
        return self


class Page(BaseModel):
    """All questions of one answer."""

    questions: list[Written] = Field(min_length=1)


class Reply(BaseModel):
    """One call's text and the tokens that it cost."""

    text: str
    input_tokens: int = 0
    output_tokens: int = 0


Ask = Callable[[str, str], Reply]


def read_teacher(name: str) -> Teacher:
    """A teacher by its short name (in solution/teachers/) or its YAML file."""
    return load_config(resolve_config("teachers", name), Teacher)


def asker(teacher: Teacher) -> Ask:
    """Who answers: `ask(system, user)`. Raises UserError where it can't be asked."""
    return _local(teacher) if teacher.local else _remote(teacher)


def _remote(teacher: Teacher) -> Ask:
    import httpx

    key = os.environ.get(teacher.key_variable, "")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    client = httpx.Client(timeout=PATIENCE_SECONDS, headers=headers)
    schema = {"name": "questions", "schema": Page.model_json_schema(), "strict": True}
    address = f"{teacher.endpoint}/chat/completions"

    def ask(system: str, user: str) -> Reply:
        body = {
            "model": teacher.model,
            "messages": _messages(system, user),
            "temperature": teacher.temperature,
            "max_tokens": teacher.max_tokens,
            "response_format": {"type": "json_schema", "json_schema": schema},
        }
        value = _post(client, address, body, teacher.retries)
        try:
            text = value["choices"][0]["message"]["content"] or ""
        except (KeyError, IndexError, TypeError) as error:
            raise UserError(f"{address}: no chat completion in its answer.") from error
        usage = value.get("usage") or {}
        return Reply(
            text=text,
            input_tokens=usage.get("prompt_tokens", 0),
            output_tokens=usage.get("completion_tokens", 0),
        )

    return ask


def _post(client: Any, address: str, body: dict[str, Any], retries: int) -> Any:
    """The server's JSON; busy and failing servers are asked again, with growing pauses."""
    import httpx

    reason = ""
    for turn in range(1 + retries):
        try:
            response = client.post(address, json=body)
            if response.status_code < 400:
                return response.json()
            reason = f"{response.status_code} {response.text[:200]}"
            if response.status_code not in (408, 409, 429) and response.status_code < 500:
                break
        except (httpx.HTTPError, ValueError) as error:
            reason = f"{type(error).__name__}: {error}"
        if turn < retries:
            time.sleep(WAIT_SECONDS * 2**turn)
    raise UserError(
        f"{address}: {reason}. Mend the teacher's endpoint, model or key and run this again; "
        "what was written so far is kept."
    )


def _messages(system: str, user: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": system}, {"role": "user", "content": user}]


def _local(teacher: Teacher) -> Ask:
    """A model of ours; greedy where the temperature is 0."""
    import torch

    assert teacher.local is not None
    loaded = load(teacher.local)
    sampling: dict[str, Any] = {"do_sample": False}
    if teacher.temperature:
        sampling = {"do_sample": True, "temperature": teacher.temperature}
    torch.manual_seed(0)

    def ask(system: str, user: str) -> Reply:
        ids = loaded.tokenizer.apply_chat_template(
            _messages(system, user),
            add_generation_prompt=True,
            return_tensors="pt",
            return_dict=True,
        ).to(loaded.device)
        written = loaded.model.generate(**ids, max_new_tokens=teacher.max_tokens, **sampling)
        new = written[0, ids["input_ids"].shape[1] :]
        text = loaded.tokenizer.decode(new, skip_special_tokens=True)
        return Reply(text=text, input_tokens=ids["input_ids"].shape[1], output_tokens=len(new))

    return ask
