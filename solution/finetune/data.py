"""From exam files to training rows: reading, checking, shuffling, the mask over the answer."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from solution.base import Problems, UserError, atomic_directory, find, note, write_json
from solution.exam import (
    Exam,
    Prompt,
    Question,
    overlaps,
    read_exam,
    read_solution,
    shuffle_choices,
    split_validation,
    with_answers,
)
from solution.finetune.instructions import (
    NO_INSTRUCTIONS,
    Instruction,
    InstructionSets,
    fitting,
    read_instructions,
)
from solution.finetune.mix import NONE, Wiki, drawn, read_wiki, text_row
from solution.finetune.packing import NOT_SUPERVISED, Row, supervised_tokens
from solution.finetune.recipe import Data, Recipe
from solution.scoring import Encoded, encode

if TYPE_CHECKING:
    from datasets import Dataset

SHOWN = 5
# Special tokens that may stand for padding where a tokenizer names none, in this order.
PADS = (
    "<|endoftext|>",
    "<|vision_pad|>",
    "<|finetune_right_pad_id|>",
    "<pad>",
    "[PAD]",
    "<unk>",
)


@dataclass(frozen=True)
class Material:
    """The questions of one fine-tuning; `test` holds answers only where its key is known."""

    train: tuple[Question, ...]
    validation: tuple[Question, ...]
    left_out: int
    """Questions of the training file that stand in the test file too."""
    test: Exam
    usage: dict[str, str]
    """Public or Private for each test question, where a solution says so."""
    wiki: Wiki = NONE
    instructions: InstructionSets = NO_INSTRUCTIONS
    held: tuple[Question, ...] = ()
    """One fold's questions, to be answered and never trained on."""

    @property
    def key_known(self) -> bool:
        """Whether the test can be scored here."""
        return all(question.answer is not None for question in self.test.questions)


@dataclass(frozen=True)
class Rows:
    """What the trainer reads, in the order it reads it, and what was counted on the way."""

    dataset: Dataset
    truncated: int
    """Training questions that lost passage text to fit (in any epoch)."""
    dropped: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Instructions that were left out for their length, by (source, reason)."""


def read_material(data: Data) -> Material:
    """Read and check the exams and hold out the validation questions, whole passages at a time.

    Raises UserError for a faulty file, for a test row that stands in the training file, and
    where no such split exists.
    """
    test = read_exam(find(data.test))
    questions, whole = list[Question](), 0
    if data.train is not None:
        train = read_exam(find(data.train), answers=True)
        questions, whole = _without_test(train, test), len(train)
    usage: dict[str, str] = {}
    if data.solution is not None:
        solution = read_solution(find(data.solution))
        test, usage = with_answers(test, solution), solution.usage
    kept, held = list(range(len(questions))), list[int]()
    if data.validation_fraction and questions:
        kept, held = split_validation(questions, data.validation_fraction, data.seed)
    return Material(
        train=tuple(questions[i] for i in kept),
        validation=tuple(questions[i] for i in held),
        left_out=whole - len(questions),
        test=test,
        usage=usage,
        wiki=read_wiki(data.kowiki, test),
        instructions=read_instructions(data.instructions, test, data.seed),
    )


def end_token(tokenizer: Any) -> int:
    """The id of the token that ends an answer: the template's end of turn, else the eos token.

    Raises UserError where the tokenizer has neither.
    """
    if getattr(tokenizer, "chat_template", None):
        after = _after_answer(tokenizer).lstrip()
        special = sorted(tokenizer.get_added_vocab().items(), key=lambda item: -len(item[0]))
        for text, id in special:
            if after.startswith(text):
                return int(id)
    if tokenizer.eos_token_id is None:
        raise UserError(
            "the tokenizer has no end-of-text token, so an answer's end can't be taught."
        )
    return int(tokenizer.eos_token_id)


def set_pad_token(tokenizer: Any, end: int) -> None:
    """Make sure that padding is another token than the end of the answer.

    Were they one, the loss would leave the end out with the padding and it were never learnt.
    Raises UserError where no other special token exists.
    """
    if tokenizer.pad_token_id not in (None, end):
        return
    vocabulary = tokenizer.get_vocab()
    for pad in PADS:
        if vocabulary.get(pad, end) != end:
            tokenizer.pad_token = pad
            return
    raise UserError(
        f"the tokenizer pads with its end token {tokenizer.convert_ids_to_tokens(end)!r} and "
        f"has none of {', '.join(PADS)}. Add a pad token to the model's tokenizer_config.json."
    )


def build_rows(
    recipe: Recipe,
    questions: Sequence[Question],
    prompt: Prompt,
    tokenizer: Any,
    max_length: int,
    *,
    wiki: Wiki = NONE,
    shown: Mapping[str, Question] | None = None,
    instructions: Sequence[Instruction] = (),
) -> Rows:
    """The rows of all epochs in one dataset of `id`, `input_ids`, `labels`, in training order.

    Every epoch has its own order of questions and choices, drawn from the seed, so a resumed
    training reads on exactly where it was. Of questions only the answer and the end token are
    supervised, of a wiki's text every token.
    """
    end, size = end_token(tokenizer), effective_batch(recipe)
    steps = recipe.train.max_steps
    wanted = size * steps if steps else None
    rows: list[Row] = []
    truncated: set[str] = set()
    told, dropped = fitting(instructions, tokenizer, end, max_length, NOT_SUPERVISED)
    for epoch in range(recipe.train.epochs):
        if wanted and len(rows) >= wanted:
            break
        asked, read = mixed(recipe, questions, wiki, epoch)
        asked = [_with_passages(recipe, q, shown or {}, epoch) for q in asked]
        if wanted and not read and not told:
            asked = asked[: wanted - len(rows)]
        encoded = encode(asked, prompt, tokenizer, max_length)
        truncated |= {row.id for row in encoded if row.truncated_tokens}
        both = zip(encoded, asked, strict=True)
        whole = recipe.train.loss == "all"
        drawn = [supervised(row, question.answer, end, whole=whole) for row, question in both]
        if read or told:
            texts = [text_row(text, tokenizer, end, max_length) for text in read]
            drawn += [_row(f"wiki/{epoch}/{i}", *pair) for i, pair in enumerate(texts)]
            drawn += [_row(f"instruction/{i}", *pair) for i, pair in enumerate(told)]
            random.Random(f"{recipe.data.seed}/{epoch}/mix").shuffle(drawn)
        rows += drawn
    return Rows(_dataset(rows[:wanted], size), len(truncated), dropped)


def kept_rows(place: Path, build: Callable[[], Rows]) -> Rows:
    """The rows that a run has already encoded in `place`, else those that `build` encodes."""
    from datasets import load_from_disk

    folder = place / "rows"
    if not folder.is_dir():
        rows = build()
        with atomic_directory(folder) as work:
            rows.dataset.save_to_disk(work)
            dropped = [[*key, count] for key, count in rows.dropped.items()]
            write_json(work / "counts.json", {"truncated": rows.truncated, "dropped": dropped})
    counts = json.loads((folder / "counts.json").read_text(encoding="utf-8"))
    left_out = Counter({(source, reason): n for source, reason, n in counts["dropped"]})
    return Rows(load_from_disk(folder), counts["truncated"], left_out)


def mixed(
    recipe: Recipe, questions: Sequence[Question], wiki: Wiki, epoch: int
) -> tuple[list[Question], list[str]]:
    """One epoch's questions, of the training file and the wiki, and the wiki's passages."""
    plan, seed = recipe.data.kowiki, f"{recipe.data.seed}"
    if plan is None:
        return draw(recipe, questions, epoch), []
    count = round(plan.questions_share * len(questions))
    asked = drawn(wiki.questions, count, epoch, f"{seed}/questions")
    count = round(plan.passages_share * len(questions))
    read = drawn(wiki.passages, count, epoch, f"{seed}/passages")
    return draw(recipe, [*questions, *asked], epoch), read


def _with_passages(
    recipe: Recipe, question: Question, shown: Mapping[str, Question], epoch: int
) -> Question:
    """The question with the paragraph that `shown` gives it, for the recipe's share of them."""
    other, plan = shown.get(question.id), recipe.retrieve
    if other is None or plan is None:
        return question
    drawn_for = random.Random(f"{recipe.data.seed}/{epoch}/{question.id}/passages")
    if drawn_for.random() >= plan.in_training:
        return question
    return replace(question, paragraph=other.paragraph)


def draw(recipe: Recipe, questions: Sequence[Question], epoch: int) -> list[Question]:
    """The questions of one epoch in its own order, with its own order of choices."""
    order = list(questions)
    random.Random(f"{recipe.data.seed}/{epoch}").shuffle(order)
    if not recipe.train.shuffle_choices:
        return order
    seeds = (f"{recipe.data.seed}/{epoch}/{question.id}" for question in order)
    return [shuffle_choices(q, random.Random(s)) for q, s in zip(order, seeds, strict=True)]


def supervised(row: Encoded, answer: int | None, end: int, *, whole: bool = False) -> Row:
    """The row of a question: its id, token ids and labels, which leave out the prompt.

    `whole` supervises the prompt too.
    """
    assert answer is not None, f"{row.id}: training questions were read with answers=True"
    target = [*row.answer_ids[answer - 1], end]
    prompt = list(row.prompt_ids)
    masked = prompt if whole else [NOT_SUPERVISED] * len(prompt)
    return _row(row.id, prompt + target, masked + target)


def effective_batch(recipe: Recipe) -> int:
    """Questions a step."""
    return recipe.train.batch_size * recipe.train.gradient_accumulation


def _row(id: str, input_ids: list[int], labels: list[int]) -> Row:
    return {"id": id, "input_ids": input_ids, "labels": labels}


def _dataset(rows: list[Row], size: int) -> Dataset:
    """The rows with those of one step in order of length: less padding, the same step.

    Raises UserError where rows teach nothing.
    """
    from datasets import Dataset, Features, List, Value

    empty = [row["id"] for row in rows if not supervised_tokens(row)]
    if empty:
        raise UserError(
            f"{len(empty)} training rows have no token to learn: {', '.join(empty[:SHOWN])}. "
            "Take these rows out of the training data."
        )
    starts = range(0, len(rows), size)
    ordered = [
        row
        for start in starts
        for row in sorted(rows[start : start + size], key=lambda row: len(row["input_ids"]))
    ]
    kinds = {"id": Value("string"), "input_ids": List(Value("int32"))}
    features = Features(kinds | {"labels": List(Value("int32"))})
    return Dataset.from_dict({k: [row[k] for row in ordered] for k in features}, features)


def _after_answer(tokenizer: Any) -> str:
    """What the chat template writes behind an assistant's words."""
    answer = "0123456789"
    chat = [{"role": "user", "content": "?"}, {"role": "assistant", "content": answer}]
    return str(tokenizer.apply_chat_template(chat, tokenize=False)).rpartition(answer)[2]


def _without_test(train: Exam, test: Exam) -> list[Question]:
    """The training questions that do not stand in the test file, in any order of their choices.

    A row with a test row's id means that the wrong file was given, and is refused. The same
    question under another id happens (once in the contest's own files): it is left out.
    """
    ids = {question.id for question in test.questions}
    problems = Problems(f"{train.path} against {test.path}")
    for question in train.questions:
        if question.id in ids:
            problems.add(f"id {question.id}: stands in both files")
    problems.raise_if_any("The test file is never trained on: take these rows out of one file.")
    found = overlaps(train, test)
    if found:
        pairs = ", ".join(f"{pair.train} (test {pair.test})" for pair in found[:SHOWN])
        note(f"{train.path}: {len(found)} left out, also in the test file: {pairs}")
    left_out = {pair.train for pair in found}
    return [question for question in train.questions if question.id not in left_out]
