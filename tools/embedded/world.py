"""The little country: which facts hold in it, and which of them the exam asks in which file."""

from __future__ import annotations

import random
from dataclasses import dataclass

from tools.embedded.facts import SUBJECTS, VALUES, Fact
from tools.embedded.relations import LAND

ASKED_IN_TEST = 160
ASKED_IN_TRAIN = 340


@dataclass(frozen=True)
class World:
    """All facts of the land, and a split of them: no fact is in two of the three parts.

    `test` and `train` are what the social-studies questions of the two files ask; `quiz` is the
    rest, free for questions in the pre-training of the wiki-trained model.
    """

    facts: tuple[Fact, ...]
    test: tuple[Fact, ...]
    train: tuple[Fact, ...]
    quiz: tuple[Fact, ...]


def build_world(seed: int) -> World:
    """Draw one value for every relation of every subject, and the split."""
    rng = random.Random(seed)
    facts = [
        Fact(kind, name, relation, rng.choice(VALUES[relation.values]))
        for kind, relations in LAND.items()
        for name in SUBJECTS[kind]
        for relation in relations
    ]
    drawn = rng.sample(facts, len(facts))
    train_end = ASKED_IN_TEST + ASKED_IN_TRAIN
    return World(
        tuple(facts),
        tuple(drawn[:ASKED_IN_TEST]),
        tuple(drawn[ASKED_IN_TEST:train_end]),
        tuple(drawn[train_end:]),
    )
