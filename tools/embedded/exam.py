"""The embedded exam: Korean language and social studies.

The answers of the first stand in the passage, those of the second in the wiki.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from solution.exam import (
    AnswerKey,
    Question,
    public_private_split,
    write_answer_key,
    write_exam,
)
from tools.embedded.facts import VALUES, Fact, choices_for, random_facts, told
from tools.embedded.relations import STORIES
from tools.embedded.world import World

KOREAN, SOCIAL = "국어", "사회"
# Two questions share most passages, as in the contest.
QUESTIONS_PER_PASSAGE = 2
# The training file asks a fact of the land more than once, with other words and other choices.
TIMES_IN_TRAIN = 3
WITH_PARAGRAPH = 0.6
WITH_PLUS = 0.1


def write_exams(world: World, seed: int, folder: Path) -> None:
    """Write train.csv, test.csv (blank answers) and solution.csv to `folder`."""
    rng = random.Random(seed)
    asked: set[tuple[str, str, str]] = set()
    test = _shuffled(rng, korean(rng, len(world.test), asked) + social(rng, world, world.test))
    facts = world.train * TIMES_IN_TRAIN
    train = _shuffled(rng, korean(rng, len(facts), asked) + social(rng, world, facts))
    train = [_named(q, f"haedeun-train-{n:04d}") for n, q in enumerate(train)]
    test = [_named(q, f"haedeun-test-{n:04d}") for n, q in enumerate(test)]
    answers = {q.id: q.answer for q in test if q.answer is not None}
    write_exam(folder / "train.csv", train)
    write_exam(folder / "test.csv", [_blank(q) for q in test])
    write_answer_key(
        folder / "solution.csv", AnswerKey(answers, public_private_split(list(answers)))
    )


def korean(rng: random.Random, count: int, asked: set[tuple[str, str, str]]) -> list[Question]:
    """Questions on everyday stories; what was asked once (by `asked`) is not asked again."""
    questions: list[Question] = []
    while len(questions) < count:
        kind = rng.choice(list(STORIES))
        subjects, relations = rng.choice([(3, 1), (3, 1), (2, 2)])
        facts = random_facts(rng, kind, subjects, relations)
        fresh = [f for f in facts if (f.x, f.relation.name, f.y) not in asked]
        paragraph = told(rng, facts)
        for fact in rng.sample(fresh, min(QUESTIONS_PER_PASSAGE, len(fresh))):
            if len(questions) == count:
                break
            asked.add((fact.x, fact.relation.name, fact.y))
            questions.append(_korean_question(rng, fact, facts, paragraph))
    return questions


def _korean_question(
    rng: random.Random, fact: Fact, facts: Sequence[Fact], paragraph: str
) -> Question:
    plus = ""
    if rng.random() < WITH_PLUS:  # the sentence with the answer is in question_plus
        others = [f for f in facts if f is not fact]
        paragraph, plus = told(rng, others), fact.statement(rng)
    return _question(rng, fact, facts, KOREAN, paragraph=paragraph, plus=plus)


def social(rng: random.Random, world: World, facts: Sequence[Fact]) -> list[Question]:
    """One question on each fact; a paragraph, if any, tells other facts of its subject."""
    questions = []
    for fact in facts:
        others = [f for f in world.facts if f.x == fact.x and f is not fact]
        tell = rng.random() < WITH_PARAGRAPH
        paragraph = told(rng, rng.sample(others, 2)) if tell else ""
        questions.append(_question(rng, fact, [], SOCIAL, paragraph=paragraph))
    return questions


def _question(
    rng: random.Random,
    fact: Fact,
    near: Sequence[Fact],
    subject: str,
    *,
    paragraph: str,
    plus: str = "",
) -> Question:
    count = rng.choice((4, 5, 5))
    choices, answer = choices_for(rng, fact, count, near, VALUES[fact.relation.values])
    return Question(
        "", paragraph, fact.question(rng), tuple(choices), answer, plus, subject, "haedeun"
    )


def _shuffled(rng: random.Random, questions: list[Question]) -> list[Question]:
    return rng.sample(questions, len(questions))


def _named(question: Question, name: str) -> Question:
    return replace(question, id=name)


def _blank(question: Question) -> Question:
    return replace(question, answer=None)
