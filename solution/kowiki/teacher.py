"""Questions by a teacher model: one call a passage, each kept at once."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from string import Template
from typing import Any

from pydantic import ValidationError

from solution.core import Progress, append_jsonl, read_jsonl
from solution.kowiki.asking import Ask, Page, Teacher, asker
from solution.kowiki.draft import Draft
from solution.kowiki.passages import Passage

CALLS = "teacher.jsonl"


def taught(
    passages: Sequence[Passage], teacher: Teacher, work: Path, seed: int, limit: int
) -> tuple[list[Draft], dict[str, Any]]:
    """Drafts of at least `limit` questions, and what the teacher cost and got wrong.

    Passages are drawn from the seed. Every call is kept in `work`/teacher.jsonl at once, so an
    interrupted run pays for no passage twice. Raises UserError where it can't be asked.
    """
    rng = random.Random(f"{seed}/teacher")
    order = rng.sample(range(len(passages)), len(passages))
    shown = [rng.random() < teacher.shown_share for _ in passages]
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
            ask = ask or asker(teacher)
            call = _call(teacher, ask, passage, shown[place])
            append_jsonl(work / CALLS, call)
        new = list(_drafts(passage, call, shown[place]))
        drafts += new
        calls.append(call)
        progress.advance(min(len(new), limit))
    return drafts, _report(teacher, calls, len(drafts))


def _call(teacher: Teacher, ask: Ask, passage: Passage, shown: bool) -> dict[str, Any]:
    """Ask until the answer is what the schema says, at most 1 + retries times."""
    user = Template(teacher.user).safe_substitute(
        title=passage.heading,
        text=passage.text,
        count=teacher.questions_per_passage,
        form=teacher.shown_form if shown else teacher.hidden_form,
    )
    call: dict[str, Any] = {"passage_id": passage.passage_id, "faults": [], "questions": []}
    call |= {"input_tokens": 0, "output_tokens": 0}
    for _ in range(1 + teacher.retries):
        reply = ask(teacher.system, user)
        call["input_tokens"] += reply.input_tokens
        call["output_tokens"] += reply.output_tokens
        try:
            page = Page.model_validate_json(_object(reply.text))
        except ValidationError as error:
            call["faults"].append(str(error.errors()[0]["msg"]))
            continue
        call["questions"] = [written.model_dump() for written in page.questions]
        break
    return call


def _object(text: str) -> str:
    """The outermost braces: models like to put their JSON into a fence."""
    return text[text.find("{") : text.rfind("}") + 1]


def _drafts(passage: Passage, call: dict[str, Any], shown: bool) -> Iterator[Draft]:
    for written in call["questions"]:
        choices = [choice.strip() for choice in written["choices"]]
        answer = choices.pop(written["answer"] - 1)
        question = written["question"].strip()
        yield Draft(passage, "teacher", question, (answer, *choices), shown)


def _report(
    teacher: Teacher, calls: Sequence[dict[str, Any]], questions: int
) -> dict[str, Any]:
    tokens = {key: sum(c[key] for c in calls) for key in ("input_tokens", "output_tokens")}
    report: dict[str, Any] = {
        "passages": len(calls),
        "questions": questions,
        "passages_without_a_valid_answer": sum(not call["questions"] for call in calls),
        "faults": dict(Counter(fault for call in calls for fault in call["faults"])),
        **tokens,
    }
    if teacher.price_per_million_tokens:
        pairs = zip(tokens.values(), teacher.price_per_million_tokens, strict=True)
        report["cost"] = round(sum(count * price for count, price in pairs) / 1e6, 6)
    return report
