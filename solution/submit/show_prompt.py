"""`prompt`: the exact text and tokens of one question, as they are scored."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from solution.core import UserError
from solution.exam import read_exam
from solution.models import chat_template, context_length, load_tokenizer
from solution.scoring import Encoded, encode
from solution.submit.predict import model_and_prompt

SHOWN_TOKENS = 32


def show_prompt(
    model: str | None,
    exam: Path,
    row: str | None = None,
    *,
    adapter: Path | None = None,
    prompt: str | None = None,
    changes: Sequence[str] = (),
) -> str:
    """Return the prompt of one question (the first, or that of an id); loads no weights.

    The arguments are those of `predict`. Raises UserError as it does, and for an unknown id.
    """
    reference, template = model_and_prompt(model, adapter, prompt, changes)
    questions = read_exam(exam).questions
    found = [question for question in questions if row in (None, question.id)][:1]
    if not found:
        raise UserError(f"{exam}: no row with the id {row}. The first is {questions[0].id}.")
    tokenizer, length = load_tokenizer(reference), context_length(reference)
    chat = chat_template(tokenizer, reference)
    [encoded] = encode(found, template, chat, length)
    rendered = chat.render(template.messages(found[0]), template.plain_suffix)
    user = template.messages(found[0])[-1]["content"].strip()
    system = "in the user's turn" if chat.folds_system else "a turn of its own"
    labels = [tokenizer.decode(list(ids)) for ids in encoded.label_ids]
    lines = [
        f"model      {reference.model}" + (f" with {adapter}" if adapter else ""),
        f"question   {encoded.id} of {exam}",
        f"prompt     {template.name}",
        f"tokens     {len(encoded.prompt_ids)} of at most {length}; "
        f"{encoded.truncated_tokens} of the passage were cut",
    ]
    if chat.is_chat:
        lines += [
            f"template   {dict(reference.chat_template) or 'no variables'}; system text: "
            + (system if template.system else "none"),
            f"  before the user's words  {rendered.text[: rendered.opening]!r}",
            f"  after them               {rendered.text[rendered.opening + len(user) :]!r}",
            f"  after the answer         {chat.end!r}",
        ]
    else:
        lines.append("template   none: the texts follow each other, blank lines between them")
    text = tokenizer.decode(list(encoded.prompt_ids))
    return "\n".join(
        [
            *lines,
            "",
            f"{text}▶ one of {' | '.join(map(repr, labels))} ◀"
            + tokenizer.decode(list(encoded.end_ids)),
            "",
            _tokens(encoded, tokenizer),
        ]
    )


def _tokens(encoded: Encoded, tokenizer: Any) -> str:
    ids = encoded.prompt_ids
    left_out = len(ids) - 2 * SHOWN_TOKENS
    parts = [ids] if left_out <= 0 else [ids[:SHOWN_TOKENS], ids[-SHOWN_TOKENS:]]
    shown = [" ".join(f"{i}:{tokenizer.decode([i])!r}" for i in part) for part in parts]
    lines = f"\n  … {left_out} more …\n".join(shown)
    labels = " | ".join(" ".join(map(str, ids)) for ids in encoded.label_ids)
    end = " ".join(map(str, encoded.end_ids)) or "none"
    return f"prompt ids {lines}\nlabel ids  {labels}\nend ids    {end}"
