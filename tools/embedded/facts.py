"""Facts, passages of facts and questions on them: what exam, wiki and pre-training share."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tools.embedded.korean import with_particles
from tools.embedded.relations import LAND, STORIES, Relation
from tools.embedded.words import CHILDREN, THINGS, VILLAGES, WIKI_THINGS, invented

SUBJECTS: Mapping[str, tuple[str, ...]] = {
    "child": CHILDREN,
    "village": VILLAGES,
    **{kind: invented(kind) for kind in LAND},
}
VALUES: Mapping[str, tuple[str, ...]] = {**THINGS, **WIKI_THINGS, **SUBJECTS}
RELATIONS: Mapping[str, tuple[Relation, ...]] = {**STORIES, **LAND}


@dataclass(frozen=True)
class Fact:
    """`relation` of the subject `x` (a name of the kind `kind`) is `y`."""

    kind: str
    x: str
    relation: Relation
    y: str

    def statement(self, rng: random.Random) -> str:
        """One sentence that says it."""
        return self._fill(rng.choice(self.relation.statements))

    def question(self, rng: random.Random) -> str:
        """One question that it answers."""
        return self._fill(rng.choice(self.relation.questions))

    def _fill(self, form: str) -> str:
        return with_particles(form.replace("{x}", self.x).replace("{y}", self.y))


def random_facts(rng: random.Random, kind: str, subjects: int, relations: int) -> list[Fact]:
    """Facts on `subjects` subjects of one kind, each with the same `relations` relations.

    All values of a relation are distinct.
    """
    names = rng.sample(SUBJECTS[kind], subjects)
    facts = []
    for relation in rng.sample(RELATIONS[kind], min(relations, len(RELATIONS[kind]))):
        values = rng.sample(VALUES[relation.values], subjects)
        facts += [Fact(kind, x, relation, y) for x, y in zip(names, values, strict=True)]
    return facts


def told(rng: random.Random, facts: Sequence[Fact]) -> str:
    """The facts as a paragraph, in random order."""
    return " ".join(fact.statement(rng) for fact in rng.sample(facts, len(facts)))


def choices_for(
    rng: random.Random, fact: Fact, count: int, near: Sequence[Fact], pool: Sequence[str]
) -> tuple[list[str], int]:
    """`count` choices of one kind in random order and the place (from 1) of the right one.

    Up to half of the distractors are the values that `near` gives to other subjects.
    """
    rivals = [f.y for f in near if f.relation.name == fact.relation.name and f.y != fact.y]
    rivals = list(dict.fromkeys(rivals))
    rng.shuffle(rivals)
    chosen = rivals[: (count - 1) // 2]
    rest = [word for word in pool if word != fact.y and word not in chosen]
    chosen += rng.sample(rest, count - 1 - len(chosen))
    chosen.append(fact.y)
    rng.shuffle(chosen)
    return chosen, chosen.index(fact.y) + 1
