"""`kowiki questions`: checked, decontaminated questions in the contest's layout."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from solution.core import UserError, log, open_run, sha256_file, write_json
from solution.exam import Question, read_exam, write_exam
from solution.kowiki.ngrams import Neighbour, nearest, repeated
from solution.kowiki.passages import build_digest, read_passages
from solution.kowiki.question_forms import Draft, generate
from solution.kowiki.teacher import (
    Judge,
    Teacher,
    generate_with_teacher,
    judge_drafts,
    read_teacher,
)

QUESTIONS, PROVENANCE, REPORT = "questions.csv", "provenance.parquet", "report.json"
MAX_LENGTH_RATIO = 1.6
"""An answer that is longer than the longest distractor by this factor gives itself away."""
MIN_HANGUL = 0.5
_NO_LETTERS = re.compile(r"[\W_]+")


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
    """Write questions on the passages of a build to the run folder `out`; return its report.

    Args:
        folder: A finished build.
        test: The test file; questions that overlap with it are left out.
        exams: More exams to decontaminate against.
        out: The run folder; provenance.parquet names the nearest exam question of each.
        limit: Keep so many, drawn evenly; required with a teacher.
        seed: Decides everything that is drawn.
        teacher: A short name or YAML file of a model that writes them; by default rules do.
        judge: A model; questions that it does not answer with their passage are left out.

    Raises:
        UserError: `folder` holds no build, or an exam is absent or invalid.

    """
    paths = list(dict.fromkeys([test, *exams]))
    exam = [question for path in paths for question in read_exam(path).questions]
    plan = read_teacher(teacher) if teacher else None
    if plan and limit is None:
        raise UserError("--teacher needs --limit, the number of questions to write.")
    inputs = {
        "command": "kowiki questions",
        "passages": build_digest(folder),
        "exams": {str(path): sha256_file(path) for path in paths},
        "limit": limit,
        "seed": seed,
        "teacher": plan.model_dump(mode="json") if plan else None,
        "judge": judge.inputs() if judge else None,
    }
    run = open_run(out, inputs)
    if run.finished:
        log(f"{out}: reusing the finished run with the same inputs")
        return dict(json.loads((out / REPORT).read_text(encoding="utf-8")))
    rng, rejected = random.Random(seed), Counter[str]()
    drafts, calls = _drafts(folder, plan, run.work, limit or 0, rng)
    kept = _checked(drafts, rejected)
    if judge:
        kept = judge_drafts(kept, judge, rejected)
    if limit is not None and limit < len(kept):
        kept = [kept[i] for i in sorted(rng.sample(range(len(kept)), limit))]
    placed = _placed(kept, rng)
    near = nearest(placed, exam)
    clean = [q for q, n in zip(placed, near, strict=True) if not n.is_leak]
    if not clean:
        raise UserError(f"{folder}: no question can be made of these passages.")
    rejected["overlaps with an exam"] = len(placed) - len(clean)
    report = _report(clean, rejected) | ({"teacher": calls} if calls else {})
    write_exam(run.work / QUESTIONS, clean)
    _write_provenance(run.work / PROVENANCE, kept, placed, near)
    write_json(run.work / REPORT, report)
    run.finalize(report)
    return report


def _drafts(
    folder: Path, plan: Teacher | None, work: Path, limit: int, rng: random.Random
) -> tuple[Iterable[Draft], dict[str, Any]]:
    passages = read_passages(folder)
    if plan is None:
        return generate(passages, rng), {}
    return generate_with_teacher(list(passages), plan, work, rng.randrange(2**32), limit)


def _checked(drafts: Iterable[Draft], rejected: Counter[str]) -> list[Draft]:
    kept: list[Draft] = []
    seen: set[tuple[str, str]] = set()
    for draft in drafts:
        reason = _fault(draft)
        passage = draft.passage.passage_id if draft.with_passage else ""
        key = (draft.question + draft.box, passage)
        if not reason and key in seen:
            reason = "asked before"
        if reason:
            rejected[reason] += 1
            continue
        seen.add(key)
        kept.append(draft)
    texts = [" ".join((draft.question, draft.box, *sorted(draft.choices))) for draft in kept]
    again = repeated(texts)
    rejected["asked before in nearly the same words"] += sum(again)
    return [draft for draft, known in zip(kept, again, strict=True) if not known]


def _fault(draft: Draft) -> str | None:
    """Return why a draft is left out; None where it is good."""
    if draft.box:  # its choices are labels of the statements, which share them by nature
        return None
    answer, *others = (_NO_LETTERS.sub("", choice).casefold() for choice in draft.choices)
    asked = _NO_LETTERS.sub("", draft.question).casefold()
    alike = any(answer in other or other in answer for other in others)
    longest = max(map(len, others))
    faults = {
        "a blank choice": not answer or not all(others),
        "one choice contains another": alike or len({*others}) < len(others),
        "the answer stands out by length": len(answer) > max(4, MAX_LENGTH_RATIO * longest),
        "not in Korean": _hangul_share(draft.question) < MIN_HANGUL,
        "the question contains the answer": not draft.with_passage and answer in asked,
    }
    return next((reason for reason, is_so in faults.items() if is_so), None)


def _hangul_share(text: str) -> float:
    letters = [character for character in text if character.isalpha()]
    return sum("가" <= letter <= "힣" for letter in letters) / max(1, len(letters))


def _placed(drafts: Sequence[Draft], rng: random.Random) -> list[Question]:
    """Put the choices in order; answers take every position equally often."""
    waiting: dict[int, list[int]] = {}
    placed = []
    for number, draft in enumerate(drafts):
        count = len(draft.choices)
        places = waiting.setdefault(count, [])
        if not places:
            places += rng.sample(range(count), count)
        place = places.pop()
        answer, *others = draft.choices
        rng.shuffle(others)
        choices = (*others[:place], answer, *others[place:])
        question = Question(
            f"kowiki-{draft.form}-{number:06d}",
            draft.passage.text if draft.with_passage else "",
            draft.question,
            choices,
            place + 1,
            draft.box,
        )
        placed.append(replace(question, source="kowiki"))
    return placed


def _report(clean: Sequence[Question], rejected: Counter[str]) -> dict[str, Any]:
    from scipy.stats import chisquare

    positions = Counter(q.answer for q in clean)
    of_five = Counter(q.answer for q in clean if len(q.choices) == 5)
    pvalue = chisquare([of_five[place] for place in range(1, 6)]).pvalue
    return {
        "questions": len(clean),
        "by_form": dict(Counter(q.id.split("-")[1] for q in clean)),
        "rejected": dict(rejected),
        "positions": dict(sorted(positions.items())),
        "positions_p": round(float(pvalue), 4),
    }


def _write_provenance(
    path: Path, kept: Sequence[Draft], placed: Sequence[Question], near: Sequence[Neighbour]
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
            "similarity": other.similarity,
            "shares_text": other.shares_text,
            "removed": other.is_leak,
        }
        for draft, question, other in zip(kept, placed, near, strict=True)
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)
