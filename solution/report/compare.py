"""In the terminal: the runs there are, two of them compared, and the wrong answers of one."""

from __future__ import annotations

import csv
import io
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from solution.core import UserError, aligned, atomic_write
from solution.exam import near_duplicate_groups
from solution.explore import format_accuracy
from solution.report.runs import (
    CONFIG,
    PREDICTIONS,
    SUPERSEDED,
    RunResult,
    find_runs,
    read_run,
)
from solution.report.significance import compare_paired

MEBI = 2**20
INTERRUPTED = "interrupted: the same command resumes it; can be removed"
STEM = 40
"""Characters of a question that a table shows."""


def list_runs(root: Path) -> str:
    """Return a table of the runs below `root`: kind, accuracy, date, size and a remark.

    Superseded runs and the work of interrupted ones are listed as well, since nothing else
    needs them. Raises UserError where there is none.
    """
    found = {path.parent for path in root.rglob(CONFIG) if (path.parent / PREDICTIONS).exists()}
    work = {path for path in root.rglob(".*.work") if path.is_dir()}
    found = {path for path in found if not path.name.startswith(".")}
    if not found | work:
        raise UserError(f"{root}: no runs. Run ./run.sh explore first.")
    rows = []
    for folder in sorted(found | work):
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        day = time.strftime("%Y-%m-%d %H:%M", time.localtime(folder.stat().st_mtime))
        kind, share, remark = _state(folder) if folder in found else ("", "", INTERRUPTED)
        rows.append([str(folder), kind, share, day, f"{size / MEBI:.1f}", remark])
    total = shutil.disk_usage(root).free / 2**30
    table = aligned(["run", "kind", "accuracy", "finished", "MiB", "remark"], rows)
    return f"{table}\n\n{total:.1f} GiB are free on this disk."


def _state(folder: Path) -> tuple[str, str, str]:
    """Return kind, accuracy and remark of a finished run."""
    remark = "superseded: can be removed" if SUPERSEDED.search(folder.name) else ""
    try:
        run = read_run(folder)
    except UserError as error:
        return "", "", remark or str(error).splitlines()[0]
    keyed = all(question.answer for question in run.questions)
    share = format_accuracy(sum(run.correct) / len(run.questions)) if keyed else ""
    return run.kind, share, remark


def named_run(name: str) -> RunResult:
    """Read a run by its folder, or by the end of one below runs/: `tiny-l`, `embedded/tiny-l`.

    Raises UserError listing the runs where none or several match.
    """
    own = Path(name)
    if (own / PREDICTIONS).is_file():
        return read_run(own)
    runs = find_runs(())
    matches = [run for run in runs if run.parts[-len(own.parts) :] == own.parts]
    if len(matches) == 1:
        return read_run(matches[0])
    shown = "\n".join(f"  {run}" for run in matches or runs)
    why = "several runs match" if matches else "no such run"
    raise UserError(f"{name}: {why}. Give one of these folders:\n{shown}")


def compare_runs(first: str, second: str, csv_file: Path | None = None) -> str:
    """Return a table of two runs on the same questions: all, and by subject and half.

    Gained: right in the first run only. p: exact McNemar test, not adjusted. The interval is
    clustered by passage. `csv_file` gets a row for each question. Raises UserError where the
    runs answered different questions, or the answers are unknown.
    """
    one, other = named_run(first), named_run(second)
    if [_content(q) for q in one.questions] != [_content(q) for q in other.questions]:
        raise UserError(
            f"{one.folder} and {other.folder} answered different questions. Compare two runs "
            "on one exam."
        )
    _require_key(one)
    groups = near_duplicate_groups(one.questions)
    parts = {"all": list(range(len(one.questions)))}
    halves = [one.usage.get(question.id, "").lower() for question in one.questions]
    for labels in ([question.subject for question in one.questions], halves):
        for row, label in enumerate(labels):
            if label:
                parts.setdefault(label, []).append(row)
    header = ["part", "questions", "first", "second", "difference", "95 % interval"]
    table = [_part(name, own, one, other, groups) for name, own in parts.items()]
    if csv_file:
        _write_csv(csv_file, [_pair(one, other, row) for row in parts["all"]])
    return "\n".join(
        [
            f"first:  {one.folder}",
            f"second: {other.folder}",
            "",
            aligned([*header, "gained", "lost", "p"], table),
            "",
            "gained: only the first is right; lost: only the second. p: exact McNemar test, "
            "not adjusted for the number of parts.",
            *([f"In full: {csv_file}"] if csv_file else []),
        ]
    )


def list_errors(name: str, csv_file: Path | None = None, limit: int = 20) -> str:
    """Return the wrong answers of a run, the most confident first.

    `csv_file` gets all of them with their texts. Raises UserError where answers are unknown.
    """
    run = named_run(name)
    _require_key(run)
    wrong = [row for row, right in enumerate(run.correct) if not right]
    wrong.sort(key=lambda row: (-run.scored[row].margin, run.questions[row].id))
    header = ["id", "subject", "answer", "right", "p(answer)", "p(right)", "margin", "question"]
    table = []
    for row in wrong[:limit]:
        question, one = run.questions[row], run.scored[row]
        assert question.answer is not None, "checked above"
        chances = [one.probability[one.answer - 1], one.probability[question.answer - 1]]
        numbers = [f"{value:.3f}" for value in (*chances, one.margin)]
        stem = " ".join(question.question.split())
        stem = stem if len(stem) <= STEM else f"{stem[: STEM - 1]}…"
        ids = [question.id, question.subject, str(one.answer), str(question.answer)]
        table.append([*ids, *numbers, stem])
    if csv_file:
        _write_csv(csv_file, [_error(run, row) for row in wrong])
    count = f"{len(wrong)} of {len(run.questions)} answers are wrong"
    more = f"; the {limit} most confident ones" if len(wrong) > limit else ""
    text = f"{run.folder}: {count}{more}\n\n{aligned(header, table)}" if wrong else count
    return f"{text}\n\nIn full: {csv_file}" if csv_file else text


def _content(question: Any) -> tuple[Any, ...]:
    parts = (question.paragraph, question.question, question.question_plus, question.choices)
    return (question.id, *parts)


def _require_key(run: RunResult) -> None:
    missing = sum(question.answer is None for question in run.questions)
    if missing:
        raise UserError(
            f"{run.folder}: the right answers of {missing} questions are unknown. Compare runs "
            "on an exam with answers: ./run.sh explore --exam data/train.csv."
        )


def _part(
    name: str, rows: Sequence[int], one: RunResult, other: RunResult, groups: Sequence[int]
) -> list[str]:
    first, second = ([run.correct[row] for row in rows] for run in (one, other))
    found = compare_paired(first, second, [groups[row] for row in rows])
    gained = sum(a and not b for a, b in zip(first, second, strict=True))
    lost = sum(b and not a for a, b in zip(first, second, strict=True))
    shares = [format_accuracy(sum(right) / len(rows)) for right in (first, second)]
    interval = f"{found['low']:+.3f} to {found['high']:+.3f}"
    counts = [str(gained), str(lost), f"{found['p']:.3f}"]
    return [name, str(len(rows)), *shares, f"{found['gain']:+.4f}", interval, *counts]


def _pair(one: RunResult, other: RunResult, row: int) -> dict[str, Any]:
    question, a, b = one.questions[row], one.scored[row], other.scored[row]
    assert question.answer is not None, "checked before"
    right = question.answer
    outcome = {(True, False): "gained", (False, True): "lost"}
    pair = a.answer == right, b.answer == right
    return {
        "id": question.id,
        "subject": question.subject,
        "usage": one.usage.get(question.id, ""),
        "right": right,
        "first": a.answer,
        "second": b.answer,
        "p_right_first": round(a.probability[right - 1], 6),
        "p_right_second": round(b.probability[right - 1], 6),
        "outcome": outcome.get(pair, "both right" if all(pair) else "both wrong"),
    }


def _error(run: RunResult, row: int) -> dict[str, Any]:
    question, one = run.questions[row], run.scored[row]
    return {
        "id": question.id,
        "subject": question.subject,
        "right": question.answer,
        "answer": one.answer,
        "margin": round(one.margin, 6),
        "probabilities": " ".join(f"{value:.6f}" for value in one.probability),
        "paragraph": question.paragraph,
        "question": question.question,
        "question_plus": question.question_plus,
        "choices": "\n".join(question.choices),
    }


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as partial:
        partial.write_text(text.getvalue(), encoding="utf-8")
