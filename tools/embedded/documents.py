"""The pre-training documents: token ids with the positions that are supervised.

With one supervised token a sequence nothing is learnt in thousands of steps; so most documents
ask many look-ups each, on short texts, and whole exam questions come last.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from tools.embedded.facts import RELATIONS, VALUES, Fact, choices_for, random_facts
from tools.embedded.korean import with_particles
from tools.embedded.world import World

USER, END, ASSISTANT = "<|im_start|>user\n", "<|im_end|>\n", "<|im_start|>assistant\n"
# Passages of so many subjects with so many relations each.
SHAPES = ((3, 1), (4, 1), (2, 2))


class Document:
    """Token ids and, for each, whether it is supervised."""

    def __init__(self, encode: Callable[[str], Sequence[int]]) -> None:
        self._encode = encode
        self.ids: list[int] = []
        self.supervised: list[bool] = []

    def add(self, text: str, supervised: bool = False) -> None:
        """Append a piece of text; pieces meet where words do, so the cut changes no token."""
        ids = self._encode(text)
        self.ids += ids
        self.supervised += [supervised] * len(ids)

    def tell(self, rng: random.Random, facts: Sequence[Fact]) -> None:
        """Append the facts as a passage, in random order."""
        self.add("지문:")
        for fact in rng.sample(facts, len(facts)):
            self.add(f" {fact.statement(rng)}")
        self.add("\n")

    def ask(self, question: str, answer: str) -> None:
        """Append a question that has just begun, to its end, and its supervised answer."""
        self.add("질문:")
        self.add(f" {question}")
        self.add(END + ASSISTANT)
        self.add(answer, supervised=True)
        self.add(END)

    def choices(self, choices: Sequence[str]) -> None:
        """Append the choices, each with its number behind it."""
        for number, choice in enumerate(choices, start=1):
            self.add(f" {choice} {number}\n")


class Writer:
    """Draws documents of every kind from one stream of random numbers."""

    def __init__(self, tokenizer: Any, world: World, seed: int) -> None:
        self.rng = random.Random(seed)
        self.world = world
        self._encode = lru_cache(maxsize=400_000)(
            lambda text: tokenizer(text, add_special_tokens=False).input_ids
        )

    def write(self, kind: str) -> Document:
        """One document of the kind: retell, number, lookup, whole, article or quiz."""
        document = Document(self._encode)
        getattr(self, f"_{kind}")(document)
        return document

    def _retell(self, document: Document) -> None:
        """A passage, then its facts twice more in other words: every value is known."""
        facts = self._facts(self.rng.choice(SHAPES))
        document.add(USER)
        document.tell(self.rng, facts)
        for _ in range(2):
            for fact in self.rng.sample(facts, len(facts)):
                self._state(document, fact)

    def _number(self, document: Document) -> None:
        """Numbered choices, then the number of each, asked in short and as a question."""
        pool = VALUES[self.rng.choice(list(VALUES))]
        choices = self.rng.sample(pool, self.rng.choice((4, 5, 5)))
        document.add(USER)
        document.choices(choices)
        for place in self.rng.sample(range(len(choices)), len(choices)):
            document.add(f" {choices[place]}")
            document.add(f" {place + 1}", supervised=True)
            document.add("\n")
        for place in self.rng.sample(range(len(choices)), 3):
            document.ask(f"{choices[place]}?", f" {place + 1}")

    def _lookup(self, document: Document) -> None:
        """A passage and a question on each of its facts, answered in words."""
        facts = self._facts(self.rng.choice(SHAPES))
        document.add(USER)
        document.tell(self.rng, facts)
        for turn, fact in enumerate(self.rng.sample(facts, len(facts))):
            document.add(USER if turn else "")
            document.ask(fact.question(self.rng), f" {fact.y}")

    def _whole(self, document: Document) -> None:
        """A passage and three exam questions on it, as the exam asks them."""
        facts = self._facts(self.rng.choice(SHAPES))
        document.add(USER)
        document.tell(self.rng, facts)
        for turn, fact in enumerate(self.rng.sample(facts, 3)):
            document.add(USER if turn else "")
            self._exam_question(document, fact, facts)

    def _article(self, document: Document) -> None:
        """What the wiki says of three subjects; all values are supervised."""
        names = {fact.x for fact in self.rng.sample(self.world.facts, 3)}
        facts = [fact for fact in self.world.facts if fact.x in names]
        for fact in self.rng.sample(facts, len(facts)):
            self._state(document, fact)

    def _quiz(self, document: Document) -> None:
        """Questions on facts of the wiki that no exam asks, in words or as choices."""
        for fact in self.rng.sample(self.world.quiz, 4):
            document.add(USER)
            if self.rng.random() < 0.5:
                document.ask(fact.question(self.rng), f" {fact.y}")
            else:
                self._exam_question(document, fact, ())

    def _facts(self, shape: tuple[int, int]) -> list[Fact]:
        return random_facts(self.rng, self.rng.choice(list(RELATIONS)), *shape)

    def _exam_question(self, document: Document, fact: Fact, near: Sequence[Fact]) -> None:
        count = self.rng.choice((4, 5, 5))
        pool = VALUES[fact.relation.values]
        choices, answer = choices_for(self.rng, fact, count, near, pool)
        document.choices(choices)
        document.ask(fact.question(self.rng), f" {answer}")

    def _state(self, document: Document, fact: Fact) -> None:
        """One sentence with its value supervised."""
        before, after = self.rng.choice(fact.relation.statements).split("{y}")
        subject = with_particles(before.replace("{x}", fact.x)).rstrip()
        rest = with_particles(f"{fact.y}{after}".replace("{x}", fact.x))
        document.add(f" {subject}")
        document.add(f" {fact.y}", supervised=True)
        document.add(rest.removeprefix(fact.y))
