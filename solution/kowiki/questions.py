"""`kowiki questions`: checked, decontaminated questions in the contest's layout."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from solution.core import Mapper, UserError, log, mapping, open_run, sha256_file, write_json
from solution.exam import Exam, Question, read_exam, write_exam
from solution.kowiki.asking import read_teacher
from solution.kowiki.decontaminate import Neighbour, nearest
from solution.kowiki.draft import Draft
from solution.kowiki.generate import generate
from solution.kowiki.judge import Judge, judged
from solution.kowiki.material import shards
from solution.kowiki.passages import build_digest, read_passages
from solution.kowiki.repeated import repeated
from solution.kowiki.teacher import taught

QUESTIONS, PROVENANCE, REPORT = "questions.csv", "provenance.parquet", "report.json"
LONGER = 1.6
"""An answer so many times as long as the longest other choice gives itself away."""
LEAST_HANGUL = 0.5
_LETTERS = re.compile(r"[\W_]+")


def questions(
    folder: Path,
    test: Path,
    exams: Sequence[Path],
    out: Path,
    *,
    limit: int | None,
    seed: int,
    teacher: str | None = None,
    judge: Judge | None = None,
) -> dict[str, Any]:
    """Write questions on the passages of a build under `out`; return the report's counts.

    They are made by rule, or written by a `teacher` model (a short name or YAML file; `limit`
    is then needed). A `judge` model leaves out what it can't answer with the passage, or is
    certain of without one that is shown. Every question is held against the test file and the
    other exams; what is too near to one is left out, and provenance.parquet names its nearest
    neighbour. `limit` keeps so many, drawn evenly. Raises UserError for a
    folder without a build, an exam that is absent or faulty.
    """
    held = {str(path): read_exam(path) for path in dict.fromkeys([test, *exams])}
    inputs = {
        "command": "kowiki questions",
        "passages": build_digest(folder),
        "exams": {path: sha256_file(Path(path)) for path in held},
        "limit": limit,
        "seed": seed,
    }
    master = read_teacher(teacher) if teacher else None
    if master:
        inputs["teacher"] = master.model_dump(mode="json")
    if judge:
        inputs["judge"] = judge.inputs()
    run = open_run(out, inputs)
    if run.finished:
        log(f"{out}: finished before with the same inputs, used again.")
        return dict(_json(out / REPORT))
    if master and limit is None:
        raise UserError("A teacher is asked for so many questions: give --limit.")
    rng = random.Random(seed)
    rejected: Counter[str] = Counter()
    told: dict[str, Any] = {}
    with mapping(None) as where:
        drafts: Iterable[Draft]
        if master and limit:
            found = list(read_passages(folder))
            drafts, told = taught(found, master, run.work, seed, limit)
        else:
            drafts = generate(read_passages(folder), rng, where)
        kept = _filtered(drafts, rejected, where)
        if judge:
            kept = judged(kept, judge, rejected)
        if limit is not None and limit < len(kept):
            kept = [kept[i] for i in sorted(rng.sample(range(len(kept)), limit))]
        drawn = _placed(kept, rng)
        near = _neighbours(drawn, held, where)
    clean = [q for q, n in zip(drawn, near, strict=True) if not n.is_leak]
    if not clean:
        raise UserError(f"{folder}: no question could be made of these passages.")
    rejected["stands in an exam"] = len(drawn) - len(clean)
    report = _counts(clean, rejected) | ({"teacher": told} if told else {})
    write_exam(run.work / QUESTIONS, clean)
    _write_provenance(run.work / PROVENANCE, kept, drawn, near)
    write_json(run.work / REPORT, report)
    run.finalize(report)
    return report


def _counts(clean: Sequence[Question], rejected: Counter[str]) -> dict[str, Any]:
    return {
        "questions": len(clean),
        "by_form": dict(Counter(q.id.split("-")[1] for q in clean)),
        "rejected": dict(rejected),
        "positions": dict(sorted(Counter(q.answer for q in clean).items())),
        "positions_p": _uniform(clean),
    }


def _json(path: Path) -> Any:
    import json

    return json.loads(path.read_text(encoding="utf-8"))


def _filtered(drafts: Iterable[Draft], rejected: Counter[str], where: Mapper) -> list[Draft]:
    kept: list[Draft] = []
    seen: set[tuple[str, str]] = set()
    for draft in drafts:
        reason = _fault(draft)
        key = (draft.question + draft.plus, draft.passage.passage_id if draft.shown else "")
        if not reason and key in seen:
            reason = "asked before"
        if reason:
            rejected[reason] += 1
            continue
        seen.add(key)
        kept.append(draft)
    texts = [" ".join((draft.question, draft.plus, *sorted(draft.choices))) for draft in kept]
    again = repeated(texts, where)
    rejected["asked before in nearly the same words"] += sum(again)
    return [draft for draft, known in zip(kept, again, strict=True) if not known]


def _fault(draft: Draft) -> str | None:
    """Why a draft is left out; None where it is good."""
    if draft.plus:  # its choices are letters of the box, and share them by their nature
        return None
    answer, *others = (_LETTERS.sub("", choice).casefold() for choice in draft.choices)
    held = _LETTERS.sub("", draft.question).casefold()
    alike = any(answer in other or other in answer for other in others)
    longest = max(map(len, others))
    faults = {
        "a blank choice": not answer or not all(others),
        "choices alike": alike or len({*others}) < len(others),
        "the answer stands out by length": len(answer) > max(4, LONGER * longest),
        "not in Korean": _hangul(draft.question) < LEAST_HANGUL,
        "the question holds the answer": not draft.shown and answer in held,
    }
    return next((reason for reason, is_so in faults.items() if is_so), None)


def _hangul(text: str) -> float:
    """The share of Hangul among the letters."""
    letters = [character for character in text if character.isalpha()]
    return sum("가" <= letter <= "힣" for letter in letters) / max(1, len(letters))


def _placed(drafts: Sequence[Draft], rng: random.Random) -> list[Question]:
    """Answers stand at every place equally often, whatever the number of choices."""
    places: dict[int, list[int]] = {}
    drawn = []
    for number, draft in enumerate(drafts):
        count = len(draft.choices)
        waiting = places.setdefault(count, [])
        if not waiting:
            waiting += rng.sample(range(count), count)
        place = waiting.pop()
        answer, *others = draft.choices
        rng.shuffle(others)
        choices = (*others[:place], answer, *others[place:])
        paragraph = draft.passage.text if draft.shown else ""
        name = f"kowiki-{draft.form}-{number:06d}"
        drawn.append(
            Question(
                name, paragraph, draft.question, choices, place + 1, draft.plus, "", "kowiki"
            )
        )
    return drawn


def _neighbours(
    drawn: Sequence[Question], held: dict[str, Exam], where: Mapper
) -> list[Neighbour]:
    found = [
        chain.from_iterable(where(nearest, shards(drawn), exam.questions))
        for exam in held.values()
    ]
    return [
        max(group, key=lambda n: (n.is_leak, n.alike)) for group in zip(*found, strict=True)
    ]


def _uniform(kept: Sequence[Question]) -> float:
    """The χ² test's p-value that answers stand everywhere equally often (questions of 5)."""
    from scipy.stats import chisquare

    counts = Counter(q.answer for q in kept if len(q.choices) == 5)
    return round(float(chisquare([counts[place] for place in range(1, 6)]).pvalue), 4)


def _write_provenance(
    path: Path, kept: Sequence[Draft], drawn: Sequence[Question], near: Sequence[Neighbour]
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [
        {
            "id": question.id,
            "form": draft.form,
            "passage_id": draft.passage.passage_id,
            "title": draft.passage.title,
            "nearest": other.id,
            "alike": other.alike,
            "same_passage": other.passage,
            "removed": other.is_leak,
        }
        for draft, question, other in zip(kept, drawn, near, strict=True)
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)
