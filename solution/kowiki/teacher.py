"""Questions by a teacher model behind an OpenAI-compatible endpoint, and their judge."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from string import Template
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from solution.core import (
    Config,
    Progress,
    UserError,
    append_jsonl,
    load_config,
    read_jsonl,
    resolve_config,
)
from solution.exam import Prompt, Question
from solution.kowiki.passages import Passage
from solution.kowiki.question_forms import Draft
from solution.models import ModelReference, load, weights_fingerprint
from solution.scoring import evaluate

CALLS = "teacher.jsonl"
TIMEOUT_SECONDS = 120.0
CERTAIN = 0.9
"""A passage is not needed where the answer has this probability without it."""


class Teacher(Config):
    """The endpoint and the prompts that write questions."""

    name: str
    base_url: str
    """Such as http://127.0.0.1:8000/v1 (vLLM, llama.cpp, `transformers serve`)."""
    model: str
    api_key_variable: str = Field(default="OPENAI_API_KEY", pattern=r"^[A-Z0-9_]*_API_KEY$")
    """Environment variable that holds the key; the key itself is written to no file."""
    questions_per_passage: int = Field(default=2, ge=1, le=10)
    with_passage_share: float = Field(default=0.5, ge=0, le=1)
    """Share of the passages that become part of their questions."""
    temperature: float = Field(default=0.7, ge=0)
    max_tokens: int = Field(default=1200, ge=16)
    retries: int = Field(default=2, ge=0)
    price_per_million_tokens: tuple[float, float] | None = None
    """Of input and output, in any currency, for the cost in the report."""
    system: str
    user: str
    form_with_passage: str
    form_without_passage: str


class TeacherQuestion(BaseModel):
    """A question as the teacher must write it."""

    model_config = ConfigDict(extra="forbid")

    question: str = Field(min_length=5)
    choices: list[str] = Field(min_length=4, max_length=5)
    answer: int = Field(ge=1, le=5)

    @model_validator(mode="after")
    def _answer_is_a_choice(self) -> TeacherQuestion:
        if self.answer > len(self.choices):
            raise ValueError("answer is not the number of a choice")
        return self


class TeacherResponse(BaseModel):
    """All questions of one response; its schema is sent to the server."""

    questions: list[TeacherQuestion] = Field(min_length=1)


@dataclass(frozen=True)
class Judge:
    """The model that judges questions, and the prompt for it."""

    model: ModelReference
    prompt: Prompt

    def inputs(self) -> dict[str, Any]:
        """Return everything that decides its verdicts."""
        return {
            "model": self.model.model_dump(mode="json"),
            "weights": weights_fingerprint(self.model),
            "prompt": self.prompt.model_dump(mode="json"),
            "certain": CERTAIN,
        }


Ask = Callable[[str], tuple[str, int, int]]
"""A prompt to the response's text and its input and output tokens."""


def read_teacher(name: str) -> Teacher:
    """Load a teacher by its short name (in solution/teachers/) or its YAML file."""
    return load_config(resolve_config("teachers", name), Teacher)


def make_client(teacher: Teacher) -> Ask:
    """Return a function that sends one prompt; it raises UserError where the server fails."""
    from openai import APIError, OpenAI

    client = OpenAI(
        base_url=teacher.base_url,
        api_key=os.environ.get(teacher.api_key_variable) or "none",
        timeout=TIMEOUT_SECONDS,
        max_retries=teacher.retries,
    )
    schema = {
        "name": "questions",
        "schema": TeacherResponse.model_json_schema(),
        "strict": True,
    }

    def ask(user: str) -> tuple[str, int, int]:
        try:
            response = client.chat.completions.create(
                model=teacher.model,
                messages=[
                    {"role": "system", "content": teacher.system},
                    {"role": "user", "content": user},
                ],
                temperature=teacher.temperature,
                max_tokens=teacher.max_tokens,
                response_format={"type": "json_schema", "json_schema": schema},
            )
            text = response.choices[0].message.content or ""
        except (APIError, IndexError, TypeError) as error:
            raise UserError(
                f"{teacher.base_url}: {error}. Check base_url, model and "
                f"{teacher.api_key_variable}, and run the same command again; finished calls "
                "are kept."
            ) from error
        usage = response.usage
        return (
            text,
            usage.prompt_tokens if usage else 0,
            usage.completion_tokens if usage else 0,
        )

    return ask


def generate_with_teacher(
    passages: Sequence[Passage], teacher: Teacher, work: Path, seed: int, limit: int
) -> tuple[list[Draft], dict[str, Any]]:
    """Return drafts of at least `limit` questions, and what they cost.

    Passages are drawn with the seed. Every call is appended to `work`/teacher.jsonl, so that an
    interrupted run pays for no passage twice. Raises UserError where the server fails.
    """
    rng = random.Random(f"{seed}/teacher")
    order = rng.sample(range(len(passages)), len(passages))
    with_passage = [rng.random() < teacher.with_passage_share for _ in passages]
    kept = {call["passage_id"]: call for call in read_jsonl(work / CALLS)}
    ask: Ask | None = None
    drafts: list[Draft] = []
    calls: list[dict[str, Any]] = []
    progress = Progress(f"questions by {teacher.name}", limit, "questions")
    for place in order:
        if len(drafts) >= limit:
            break
        passage = passages[place]
        call = kept.get(passage.passage_id)
        if call is None:
            ask = ask or make_client(teacher)
            call = _call(teacher, ask, passage, with_passage[place])
            append_jsonl(work / CALLS, call)
        new = list(_drafts(passage, call, with_passage[place]))
        drafts += new
        calls.append(call)
        progress.advance(min(len(new), limit))
    return drafts, _report(teacher, calls, len(drafts))


def judge_drafts(drafts: Sequence[Draft], judge: Judge, rejected: Counter[str]) -> list[Draft]:
    """Keep drafts that the judge answers correctly with their passage, and not surely without.

    Only questions with a passage can be given away: others may well be known. The right choice
    takes every position in turn, so that none is favoured.
    """
    loaded = load(judge.model)
    asked = [_question(draft, number) for number, draft in enumerate(drafts)]
    bare = [replace(question, paragraph="") for question in asked]
    ways = ((asked, "judge, with passages"), (bare, "judge, without"))
    informed, guessed = (
        evaluate(loaded, questions, judge.prompt, label=label)[0] for questions, label in ways
    )
    kept: list[Draft] = []
    for draft, question, read, guess in zip(drafts, asked, informed, guessed, strict=True):
        place = question.answer or 1
        if read.answer != place:
            rejected["the judge does not find the answer in the passage"] += 1
        elif draft.with_passage and guess.probability[place - 1] >= CERTAIN:
            rejected["the judge is certain without the passage"] += 1
        else:
            kept.append(draft)
    return kept


def _call(teacher: Teacher, ask: Ask, passage: Passage, with_passage: bool) -> dict[str, Any]:
    """Ask until the response fits the schema, at most 1 + retries times."""
    user = Template(teacher.user).safe_substitute(
        title=passage.heading,
        text=passage.text,
        count=teacher.questions_per_passage,
        form=teacher.form_with_passage if with_passage else teacher.form_without_passage,
    )
    call: dict[str, Any] = {"passage_id": passage.passage_id, "errors": [], "questions": []}
    call |= {"input_tokens": 0, "output_tokens": 0}
    for _ in range(1 + teacher.retries):
        text, input_tokens, output_tokens = ask(user)
        call["input_tokens"] += input_tokens
        call["output_tokens"] += output_tokens
        try:  # the outermost braces: models like to put their JSON into a fence
            body = text[text.find("{") : text.rfind("}") + 1]
            response = TeacherResponse.model_validate_json(body)
        except ValidationError as error:
            call["errors"].append(str(error.errors()[0]["msg"]))
            continue
        call["questions"] = [question.model_dump() for question in response.questions]
        break
    return call


def _drafts(passage: Passage, call: dict[str, Any], with_passage: bool) -> Iterator[Draft]:
    for written in call["questions"]:
        choices = [choice.strip() for choice in written["choices"]]
        answer = choices.pop(written["answer"] - 1)
        question = written["question"].strip()
        yield Draft(passage, "teacher", question, (answer, *choices), with_passage)


def _question(draft: Draft, number: int) -> Question:
    answer, *others = draft.choices
    place = number % len(draft.choices)
    choices = (*others[:place], answer, *others[place:])
    text = draft.passage.text
    return Question(str(number), text, draft.question, choices, place + 1, draft.box)


def _report(
    teacher: Teacher, calls: Sequence[dict[str, Any]], questions: int
) -> dict[str, Any]:
    tokens = {key: sum(c[key] for c in calls) for key in ("input_tokens", "output_tokens")}
    report: dict[str, Any] = {
        "passages": len(calls),
        "questions": questions,
        "passages_without_a_valid_response": sum(not call["questions"] for call in calls),
        "errors": dict(Counter(error for call in calls for error in call["errors"])),
        **tokens,
    }
    if teacher.price_per_million_tokens:
        pairs = zip(tokens.values(), teacher.price_per_million_tokens, strict=True)
        report["cost"] = round(sum(count * price for count, price in pairs) / 1e6, 6)
    return report
