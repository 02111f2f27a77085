"""From questions, passages and instructions to tokenized training rows."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from solution.core import UserError, atomic_directory, write_json
from solution.exam import Prompt, Question, shuffle_choices
from solution.finetune.data import FinetuneData, sample_cycling
from solution.finetune.instruction_data import TOO_LONG, Instruction, tokenize_instruction
from solution.finetune.packing import IGNORE_INDEX, Row, supervised_tokens
from solution.finetune.recipe import Recipe
from solution.models import chat_template
from solution.scoring import Encoded, encode

if TYPE_CHECKING:
    from datasets import Dataset

MAX_LISTED = 5
# Candidates for the padding token of a tokenizer that has none, in this order.
PAD_TOKENS = (
    "<|endoftext|>",
    "<|vision_pad|>",
    "<|finetune_right_pad_id|>",
    "<pad>",
    "[PAD]",
    "<unk>",
)


@dataclass(frozen=True)
class TokenizedDataset:
    """The training rows (`id`, `input_ids`, `labels`) of all epochs, in training order."""

    dataset: Dataset
    truncated: int
    """Questions whose passage was truncated in any epoch."""
    dropped: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Instructions that are too long, by (source, reason)."""


def tokenize_examples(
    recipe: Recipe,
    data: FinetuneData,
    prompt: Prompt,
    tokenizer: Any,
    max_length: int,
    *,
    with_passages: Mapping[str, Question] | None = None,
) -> TokenizedDataset:
    """Tokenize the rows of all epochs.

    Each epoch has its own order of questions and choices, derived from the seed, so a resumed
    training continues exactly. Only the answer and the end token of a question are supervised;
    of a passage, every token. `with_passages` has the questions with retrieved passages, by id.
    """
    end, seed = end_token(tokenizer), recipe.data.seed
    chat = chat_template(tokenizer, recipe.model)
    steps = recipe.train.max_steps
    limit = recipe.rows_per_step * steps if steps else None
    instructions, dropped = tokenize_instructions(
        data.instructions.rows, tokenizer, end, max_length
    )
    rows: list[Row] = []
    truncated: set[str] = set()
    for epoch in range(recipe.train.epochs):
        if limit and len(rows) >= limit:
            break
        questions, passages = epoch_questions(recipe, data, epoch)
        questions = [_show_passages(recipe, q, with_passages or {}, epoch) for q in questions]
        if limit and not passages and not instructions:
            questions = questions[: limit - len(rows)]
        encoded = encode(questions, prompt, chat, max_length)
        truncated |= {row.id for row in encoded if row.truncated_tokens}
        in_epoch = [
            with_labels(row, question.answer, end, recipe.train.train_on_prompt)
            for row, question in zip(encoded, questions, strict=True)
        ]
        if passages or instructions:
            in_epoch += [
                _passage_row(f"wiki/{epoch}/{number}", text, tokenizer, end, max_length)
                for number, text in enumerate(passages)
            ]
            in_epoch += instructions
            random.Random(f"{seed}/{epoch}/mix").shuffle(in_epoch)
        rows += in_epoch
    dataset = sort_within_batch(rows[:limit], recipe.rows_per_step)
    return TokenizedDataset(dataset, len(truncated), dropped)


def epoch_questions(
    recipe: Recipe, data: FinetuneData, epoch: int
) -> tuple[list[Question], list[str]]:
    """Return the questions of one epoch, those of the wiki included, and its wiki passages."""
    config, seed = recipe.data.kowiki, recipe.data.seed
    if config is None:
        return shuffle_epoch(recipe, data.train, epoch), []
    count = round(config.questions_per_train_question * len(data.train))
    extra = sample_cycling(data.wiki.questions, count, epoch, f"{seed}/questions")
    count = round(config.passages_per_train_question * len(data.train))
    passages = sample_cycling(data.wiki.passages, count, epoch, f"{seed}/passages")
    return shuffle_epoch(recipe, [*data.train, *extra], epoch), passages


def shuffle_epoch(recipe: Recipe, questions: Sequence[Question], epoch: int) -> list[Question]:
    """Return the questions in the epoch's order, each with the epoch's order of choices."""
    order = list(questions)
    random.Random(f"{recipe.data.seed}/{epoch}").shuffle(order)
    if not recipe.train.shuffle_choices:
        return order
    seeds = (f"{recipe.data.seed}/{epoch}/{question.id}" for question in order)
    return [shuffle_choices(q, random.Random(s)) for q, s in zip(order, seeds, strict=True)]


def with_labels(
    row: Encoded, answer: int | None, end: int, train_on_prompt: bool = False
) -> Row:
    """Build the training row of an encoded question; the prompt is masked by default."""
    assert answer is not None, f"{row.id}: training questions have answers"
    target = [*row.label_ids[answer - 1], *(row.end_ids or (end,))]
    prompt = list(row.prompt_ids)
    labels = prompt if train_on_prompt else [IGNORE_INDEX] * len(prompt)
    return {"id": row.id, "input_ids": prompt + target, "labels": labels + target}


def sort_within_batch(rows: list[Row], batch_size: int) -> Dataset:
    """Sort the rows of each step by length; raise UserError for rows without labels."""
    from datasets import Dataset, Features, List, Value

    empty = [row["id"] for row in rows if not supervised_tokens(row)]
    if empty:
        raise UserError(
            f"{len(empty)} training rows have no supervised token: "
            f"{', '.join(empty[:MAX_LISTED])}. Remove them from the training data."
        )
    batches = (rows[start : start + batch_size] for start in range(0, len(rows), batch_size))
    placed = [
        row for batch in batches for row in sorted(batch, key=lambda row: len(row["input_ids"]))
    ]
    ids = List(Value("int32"))
    features = Features({"id": Value("string"), "input_ids": ids, "labels": ids})
    return Dataset.from_dict({key: [row[key] for row in placed] for key in features}, features)


def load_or_build(folder: Path, build: Callable[[], TokenizedDataset]) -> TokenizedDataset:
    """Load the rows that an interrupted run has cached in `folder`, or build and cache them."""
    from datasets import disable_progress_bars, load_from_disk

    cache = folder / "rows"
    if not cache.is_dir():
        rows = build()
        disable_progress_bars()
        with atomic_directory(cache) as work:
            rows.dataset.save_to_disk(work)
            dropped = [[*key, count] for key, count in rows.dropped.items()]
            write_json(work / "counts.json", {"truncated": rows.truncated, "dropped": dropped})
    counts = json.loads((cache / "counts.json").read_text(encoding="utf-8"))
    too_long = Counter({(source, reason): n for source, reason, n in counts["dropped"]})
    return TokenizedDataset(load_from_disk(cache), counts["truncated"], too_long)


def end_token(tokenizer: Any) -> int:
    """Return the id of the token after an answer: the template's end of turn, else eos."""
    if getattr(tokenizer, "chat_template", None):
        answer = "0123456789"
        chat = [{"role": "user", "content": "?"}, {"role": "assistant", "content": answer}]
        text = str(tokenizer.apply_chat_template(chat, tokenize=False))
        after = text.rpartition(answer)[2].lstrip()
        added = sorted(tokenizer.get_added_vocab().items(), key=lambda item: -len(item[0]))
        for token, id in added:
            if after.startswith(token):
                return int(id)
    if tokenizer.eos_token_id is None:
        raise UserError("the tokenizer has no eos token, so the model can't learn to stop.")
    return int(tokenizer.eos_token_id)


def set_pad_token(tokenizer: Any, end: int) -> None:
    """Make sure that the padding token differs from the end token.

    If they were the same token, masking padding would also mask the end token, so the model
    would never learn to stop. Raises UserError where no other special token exists.
    """
    if tokenizer.pad_token_id not in (None, end):
        return
    vocabulary = tokenizer.get_vocab()
    for pad in PAD_TOKENS:
        if vocabulary.get(pad, end) != end:
            tokenizer.pad_token = pad
            return
    raise UserError(
        f"the tokenizer pads with its end token {tokenizer.convert_ids_to_tokens(end)!r} and "
        f"has none of {', '.join(PAD_TOKENS)}. Add a pad token to tokenizer_config.json."
    )


def tokenize_instructions(
    rows: Sequence[Instruction], tokenizer: Any, end: int, max_length: int
) -> tuple[list[Row], Counter[tuple[str, str]]]:
    """Tokenize the instructions that fit; a truncated answer would be learned as complete."""
    kept, dropped = list[Row](), Counter[tuple[str, str]]()
    for row in rows:
        ids, labels = tokenize_instruction(row, tokenizer, end, IGNORE_INDEX)
        if len(ids) > max_length:
            dropped[row.source, TOO_LONG] += 1
            continue
        kept.append({"id": f"instruction/{len(kept)}", "input_ids": ids, "labels": labels})
    if rows and not kept:
        raise UserError(
            f"all {len(rows)} instructions are longer than {max_length} tokens. "
            "Raise train.max_seq_length or model.max_length."
        )
    return kept, dropped


def _passage_row(id: str, text: str, tokenizer: Any, end: int, max_length: int) -> Row:
    # Prepend a space so the first word gets its mid-sentence token.
    ids = [*tokenizer(f" {text}", add_special_tokens=False).input_ids, end][:max_length]
    return {"id": id, "input_ids": ids, "labels": list(ids)}


def _show_passages(
    recipe: Recipe, question: Question, with_passages: Mapping[str, Question], epoch: int
) -> Question:
    other, config = with_passages.get(question.id), recipe.retrieve
    if other is None or config is None:
        return question
    draw = random.Random(f"{recipe.data.seed}/{epoch}/{question.id}/passages").random()
    if draw >= config.train_fraction:
        return question
    return replace(question, paragraph=other.paragraph)
