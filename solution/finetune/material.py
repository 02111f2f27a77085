"""The questions of one fine-tuning: read, checked against the test, split."""

from __future__ import annotations

from dataclasses import dataclass

from solution.core import ErrorCollector, log, resolve_path
from solution.exam import (
    Exam,
    Question,
    overlaps,
    read_answer_key,
    read_exam,
    split_validation,
    with_answers,
)
from solution.finetune.instructions import NO_INSTRUCTIONS, InstructionSets, read_instructions
from solution.finetune.mix import NONE, Wiki, read_wiki
from solution.finetune.recipe import Data

SHOWN = 5


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


def read_material(data: Data) -> Material:
    """Read and check the exams and hold out the validation questions, whole passages at a time.

    Raises UserError for a faulty file, for a test row that stands in the training file, and
    where no such split exists.
    """
    test = read_exam(resolve_path(data.test))
    questions, whole = list[Question](), 0
    if data.train is not None:
        train = read_exam(resolve_path(data.train), answers=True)
        questions, whole = _without_test(train, test), len(train)
    usage: dict[str, str] = {}
    if data.solution is not None:
        solution = read_answer_key(resolve_path(data.solution))
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


def _without_test(train: Exam, test: Exam) -> list[Question]:
    """The training questions that do not stand in the test file, in any order of their choices.

    A row with a test row's id means that the wrong file was given, and is refused. The same
    question under another id happens (once in the contest's own files): it is left out.
    """
    ids = {question.id for question in test.questions}
    problems = ErrorCollector(f"{train.path} against {test.path}")
    for question in train.questions:
        if question.id in ids:
            problems.add(f"id {question.id}: stands in both files")
    problems.raise_if_any("The test file is never trained on: take these rows out of one file.")
    found = overlaps(train, test)
    if found:
        pairs = ", ".join(f"{pair.train} (test {pair.test})" for pair in found[:SHOWN])
        log(f"{train.path}: {len(found)} left out, also in the test file: {pairs}")
    left_out = {pair.train for pair in found}
    return [question for question in train.questions if question.id not in left_out]
