"""The data of one fine-tuning: read, split, and checked for overlap with the test file."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from solution.core import ErrorCollector, UserError, log, resolve_path
from solution.exam import (
    Exam,
    Question,
    overlaps,
    read_answer_key,
    read_exam,
    split_validation,
    with_answers,
)
from solution.finetune.instruction_data import (
    NO_INSTRUCTIONS,
    InstructionData,
    load_instructions,
)
from solution.finetune.recipe import Data, Kowiki
from solution.kowiki import leaked_ids, leaking, read_passages

MAX_LISTED = 5
T = TypeVar("T")


@dataclass(frozen=True)
class WikiData:
    """Questions and passages of a wiki, none of them in the test file."""

    questions: tuple[Question, ...] = ()
    passages: tuple[str, ...] = ()
    removed_overlaps: int = 0


NO_WIKI = WikiData()


@dataclass(frozen=True)
class FinetuneData:
    """All questions of one fine-tuning; `test` has answers only if its key is known."""

    train: tuple[Question, ...]
    validation: tuple[Question, ...]
    test: Exam
    usage: dict[str, str]
    """Public or Private by id of the test question, if the solution has the column."""
    removed_overlaps: int = 0
    """Questions of the training file that were also in the test file."""
    wiki: WikiData = NO_WIKI
    instructions: InstructionData = NO_INSTRUCTIONS
    holdout: tuple[Question, ...] = ()
    """Questions of one fold: scored, never trained on."""

    @property
    def test_has_answers(self) -> bool:
        """Whether the test can be scored here."""
        return all(question.answer is not None for question in self.test.questions)


def load_data(config: Data) -> FinetuneData:
    """Read and check the exams; split off the validation questions by whole passages.

    Raises UserError: a wrong file, a test id in the training file, or no possible split.
    """
    test = read_exam(resolve_path(config.test))
    questions, total = list[Question](), 0
    if config.train is not None:
        train = read_exam(resolve_path(config.train), answers=True)
        questions, total = _without_test(train, test), len(train)
    usage: dict[str, str] = {}
    if config.solution is not None:
        key = read_answer_key(resolve_path(config.solution))
        test, usage = with_answers(test, key), key.usage
    kept, validation = list(range(len(questions))), list[int]()
    if config.validation_fraction and questions:
        kept, validation = split_validation(questions, config.validation_fraction, config.seed)
    log(f"test: {test.path}" + (f"; training: {train.path}" if config.train else ""))
    return FinetuneData(
        train=tuple(questions[i] for i in kept),
        validation=tuple(questions[i] for i in validation),
        test=test,
        usage=usage,
        removed_overlaps=total - len(questions),
        wiki=load_wiki(config.kowiki, test),
        instructions=load_instructions(config.instructions, test, config.seed),
    )


def load_wiki(config: Kowiki | None, test: Exam) -> WikiData:
    """Read the wiki's questions and passages; raise UserError where none are left."""
    if config is None:
        return NO_WIKI
    questions, removed = _wiki_questions(config, test)
    passages: list[str] = []
    if config.passages:
        texts = [passage.text for passage in read_passages(resolve_path(config.passages))]
        leaks = leaking(texts, test.questions) if texts else []
        passages = [text for text, leak in zip(texts, leaks, strict=True) if leak is None]
        removed += len(texts) - len(passages)
    for key, source, left in (
        ("questions", config.questions, questions),
        ("passages", config.passages, passages),
    ):
        if source and not left:
            raise UserError(
                f"data.kowiki.{key}: {source}: nothing left ({removed} removed because they "
                "overlap with the test file). Use another source or remove the key."
            )
    if removed:
        log(f"kowiki: removed {removed} questions and passages that overlap with the test file")
    return WikiData(tuple(questions), tuple(passages), removed)


def sample_cycling(pool: Sequence[T], count: int, epoch: int, seed: str) -> list[T]:
    """Return the next `count` items of an endless sequence of shuffled copies of `pool`."""
    if not pool:
        return []
    sample: list[T] = []
    offset = epoch * count
    while len(sample) < count:
        cycle, start = divmod(offset + len(sample), len(pool))
        order = list(pool)
        random.Random(f"{seed}/{cycle}").shuffle(order)
        sample += order[start : start + count - len(sample)]
    return sample


def _wiki_questions(config: Kowiki, test: Exam) -> tuple[list[Question], int]:
    if not config.questions:
        return [], 0
    path = resolve_path(config.questions)
    if not path.is_file():
        raise UserError(
            f"data.kowiki.questions: {config.questions}: no such file. "
            "Create it with ./run.sh kowiki questions."
        )
    exam = read_exam(path, answers=True)
    leaked = leaked_ids(exam.questions, test.questions)
    questions = [question for question in exam.questions if question.id not in leaked]
    return questions, len(exam) - len(questions)


def _without_test(train: Exam, test: Exam) -> list[Question]:
    """Return the training questions that are not in the test file, whatever their choice order.

    A shared id means that the wrong file was given and is an error. The same question under
    another id occurs in the contest's own files: it is removed.
    """
    ids = {question.id for question in test.questions}
    problems = ErrorCollector(f"{train.path} against {test.path}")
    for question in train.questions:
        if question.id in ids:
            problems.add(f"id {question.id}: in both files")
    problems.raise_if_any("Training on the test file is refused: remove these rows from one.")
    found = overlaps(train, test)
    if found:
        pairs = ", ".join(f"{pair.train} (test {pair.test})" for pair in found[:MAX_LISTED])
        log(f"{train.path}: removed {len(found)} questions of the test file: {pairs}")
    removed = {pair.train for pair in found}
    return [question for question in train.questions if question.id not in removed]
