"""Questions on a box of statements: which of ㄱ to ㄹ are right, in which order they came."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import combinations, groupby, permutations

from solution.kowiki.draft import Draft, changed, name
from solution.kowiki.material import Material
from solution.kowiki.passages import Passage

LABELS = "ㄱㄴㄷㄹ"
_CHOICES = 5
Found = Sequence[tuple[Passage, Material]]


def boxes(found: Found, rng: random.Random) -> Iterator[Draft]:
    """Four statements on a shown passage, some with another number: which agree with it."""
    for passage, offered in found:
        whole = list(dict.fromkeys(offered.statements))
        lies = {s: lie for s in whole if (lie := changed(s, rng))}
        if len(whole) < len(LABELS) or not lies:
            continue
        wrong = set(rng.sample(sorted(lies), min(len(lies), rng.randint(1, 3))))
        picked = rng.sample(sorted(set(whole) - wrong), len(LABELS) - len(wrong))
        lines = rng.sample([*picked, *sorted(wrong)], len(LABELS))
        answer = tuple(i for i, line in enumerate(lines) if line not in wrong)
        told = [lies[line] if line in wrong else line for line in lines]
        question = "윗글의 내용과 일치하는 것만을 <보기>에서 있는 대로 고른 것은?"
        others = [
            c for n in (1, 2, 3) for c in combinations(range(len(LABELS)), n) if c != answer
        ]
        choices = [answer, *rng.sample(others, _CHOICES - 1)]
        yield Draft(
            passage,
            "box",
            question,
            tuple(", ".join(LABELS[i] for i in choice) for choice in choices),
            True,
            _box(told),
        )


def orders(found: Found, rng: random.Random) -> Iterator[Draft]:
    """Four dated events of one article, without their years: in which order they came."""
    for _, pages in groupby(found, key=lambda pair: pair[0].page_id):
        page = list(pages)
        events, subject = _events(page), name(page[0][0].title)
        drawn = rng.sample(sorted(events), len(events) - len(events) % len(LABELS))
        for start in range(0, len(drawn), len(LABELS)):
            years = drawn[start : start + len(LABELS)]
            order = tuple(sorted(range(len(LABELS)), key=years.__getitem__))
            others = [o for o in permutations(range(len(LABELS))) if o != order]
            choices = [order, *rng.sample(others, _CHOICES - 1)]
            question = (
                f"‘{subject}’에 대한 <보기>의 일을 먼저 일어난 것부터 바르게 나열한 것은?"
            )
            yield Draft(
                events[min(years)][0],
                "order",
                question,
                tuple(" - ".join(LABELS[i] for i in choice) for choice in choices),
                False,
                _box([events[year][1] for year in years]),
            )


def _events(page: Found) -> dict[int, tuple[Passage, str]]:
    """By year the event of a sentence that begins with its year and names no other."""
    events: dict[int, tuple[Passage, str]] = {}
    for passage, offered in page:
        for year, event in offered.events:
            events.setdefault(year, (passage, event))
    return events


def _box(lines: Sequence[str]) -> str:
    return "\n".join(f"{label}. {line}" for label, line in zip(LABELS, lines, strict=True))
