"""The command: score every candidate of a suite on its exams and rank them."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from solution.base import UserError, atomic_write, find, write_json
from solution.exam import Prompt, Solution, load_prompt, write_exam, write_solution
from solution.explore.candidates import Outcome, outcome_of
from solution.explore.job import Job, without_answers
from solution.explore.key import Key, figures, read_key
from solution.explore.leaderboard import leaderboard, text, write_csv
from solution.explore.suite import Candidate, Suite, folder_name, load_suite

TITLE = "# Leaderboard\n\n"


def explore(
    suite: str,
    exam: Path | None,
    solution: Path | None,
    out: Path | None,
    overrides: Sequence[str],
) -> str:
    """Score the candidates of a suite and return the table; files go to runs/explore/<suite>/.

    `exam` (with `solution`, or holding its own answers) replaces the suite's exams. Candidates
    whose inputs have not changed are not scored again. Several exams get a folder each.
    Raises UserError for faulty input before anything is written, and where nothing was scored.
    """
    plan = load_suite(suite, overrides)
    prompts = {c.name: load_prompt(c.prompt or plan.prompt) for c in plan.candidates}
    keys = _keys(plan, exam, solution)
    home = out or Path("runs") / "explore" / folder_name(plan.name)
    tables: list[str] = []
    outcomes: list[Outcome] = []
    with _alone(home):
        for name, key in keys.items():
            folder = home if len(keys) == 1 else home / folder_name(name)
            table, here = _rank(plan, prompts, key, folder)
            tables.append(f"{table}\n\nIn full: {folder / 'leaderboard.csv'}")
            outcomes += here
    if all(outcome.reason for outcome in outcomes):
        reasons = dict.fromkeys(f"  {o.name}: {o.reason}" for o in outcomes)
        raise UserError("\n".join(["no candidate could be scored:", *reasons]))
    return "\n\n".join(tables)


def _keys(plan: Suite, exam: Path | None, solution: Path | None) -> dict[str, Key]:
    """Each exam's name and key; the command line's exam stands in for all of the suite's."""
    if exam is not None:
        return {exam.stem: read_key(exam, solution, plan.seed)}
    if solution is not None and len(plan.exams) > 1:
        raise UserError(f"--solution {solution}: the suite has several exams; give --exam too.")
    return {
        entry.name: read_key(
            find(entry.exam),
            solution or (find(entry.solution) if entry.solution else None),
            plan.seed,
        )
        for entry in plan.exams
    }


def _rank(
    plan: Suite, prompts: dict[str, Prompt], key: Key, folder: Path
) -> tuple[str, list[Outcome]]:
    """Score candidate after candidate on one exam; the leaderboard is written after each."""
    outcomes: list[Outcome] = []
    _keep_key(key, folder)
    for candidate in plan.candidates:
        outcomes.append(outcome_of(_job(plan, candidate, prompts[candidate.name], key, folder)))
        rows = leaderboard(plan, key, outcomes)
        _keep_figures(outcomes[-1], key, folder)
        write_csv(folder / "leaderboard.csv", key, rows)
        with atomic_write(folder / "leaderboard.md") as partial:
            page = TITLE + text(plan, key, rows, as_markdown=True)
            partial.write_text(page, encoding="utf-8")
    return text(plan, key, rows), outcomes


def _keep_key(key: Key, folder: Path) -> None:
    """Put the exam and its key beside the runs: the report shows the questions as scored."""
    folder.mkdir(parents=True, exist_ok=True)
    write_exam(folder / "exam.csv", key.questions)
    provenance = key.exam.with_name("provenance.parquet")
    if provenance.is_file():
        with atomic_write(folder / provenance.name) as partial:
            shutil.copyfile(provenance, partial)
    ids = [question.id for question in key.questions]
    solution = Solution(
        answers=dict(zip(ids, key.answers, strict=True)),
        usage=dict(zip(ids, key.usage, strict=True)),
    )
    write_solution(folder / "solution.csv", solution)


def _keep_figures(outcome: Outcome, key: Key, folder: Path) -> None:
    """Put what a run earned into its metrics; written again only where the key has changed."""
    if outcome.measured is None:
        return
    earned = figures(key, [(answer,) for answer in outcome.answers])
    whole = outcome.measured | earned | {"exam": key.exam.name}
    if whole != outcome.measured:
        write_json(folder / folder_name(outcome.name) / "metrics.json", whole)


def _job(plan: Suite, candidate: Candidate, prompt: Prompt, key: Key, folder: Path) -> Job:
    return Job(
        name=candidate.name,
        place=folder / folder_name(candidate.name),
        reference=candidate.reference,
        prompt=prompt,
        questions=without_answers(key.questions),
        batch_tokens=plan.batch_tokens,
    )


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Hold the folder against a second explore; a killed one holds it no longer."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        stream = (home / ".lock").open("w")
    except OSError as error:
        raise UserError(f"{home}: cannot be written ({error.strerror}). Give --out.") from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(
                f"{home}: another explore is at work there. Wait for it, or give another --out."
            ) from error
        yield
