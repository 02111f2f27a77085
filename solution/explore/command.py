"""The command: score every candidate of a suite on its exams and rank them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from solution.core import UserError, atomic_write, resolve_path, write_json
from solution.exam import AnswerKey, Prompt, load_prompt, write_answer_key, write_exam
from solution.explore.benchmarks import explore_benchmarks, is_benchmark_suite
from solution.explore.candidates import Outcome, Watch, outcome_of
from solution.explore.harness import write_harness
from solution.explore.job import Job, without_answers
from solution.explore.key import Key, figures, read_key
from solution.explore.leaderboard import leaderboard, text, write_csv
from solution.explore.live import Live
from solution.explore.lock import alone
from solution.explore.ray_cluster import connected
from solution.explore.statistics import order_effect
from solution.explore.suite import Candidate, Suite, folder_name, load_suite
from solution.kowiki import retrieve_passages

Scorer = Callable[[Iterable[Job], Watch], Iterator[tuple[Job, Outcome]]]
TITLE = "# Leaderboard\n\n"


def explore(
    suite: str,
    exam: Path | None,
    solution: Path | None,
    out: Path | None,
    overrides: Sequence[str],
    *,
    data: Path | None = None,
    ray: str | None = None,
) -> str:
    """Score the candidates of a suite and return the table; files go to runs/explore/<suite>/.

    `exam` (with `solution`, or holding its own answers) replaces the suite's exams. Candidates
    whose inputs have not changed are not scored again. Several exams get a folder each.
    A suite of benchmarks takes `data`, a folder of local files, in place of exams.
    With `ray` (an address, or "local") they are scored as tasks of a Ray cluster.
    Raises UserError for faulty input before anything is written, and where nothing was scored.
    """
    if is_benchmark_suite(suite):
        if exam is not None or solution is not None:
            raise UserError(f"suite {suite} has tasks, no exams: it takes --data, not --exam.")
        return explore_benchmarks(suite, data, out, overrides)
    if data is not None:
        raise UserError(f"suite {suite} has exams, no tasks: it takes --exam, not --data.")
    plan = load_suite(suite, overrides)
    prompts = {c.name: load_prompt(c.prompt or plan.prompt) for c in plan.candidates}
    keys = _keys(plan, exam, solution)
    home = out or Path("runs") / "explore" / folder_name(plan.name)
    tables: list[str] = []
    outcomes: list[Outcome] = []
    with alone(home), _by(ray) as outcomes_of:
        for name, key in keys.items():
            folder = home if len(keys) == 1 else home / folder_name(name)
            table, here = _rank(plan, prompts, key, folder, outcomes_of)
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
            resolve_path(entry.exam),
            solution or (resolve_path(entry.solution) if entry.solution else None),
            plan.seed,
        )
        for entry in plan.exams
    }


def _rank(
    plan: Suite, prompts: dict[str, Prompt], key: Key, folder: Path, outcomes_of: Scorer
) -> tuple[str, list[Outcome]]:
    """Score the candidates on one exam; the leaderboard is written after each."""
    jobs = (_job(plan, c, prompts[c.name], key, folder) for c in plan.candidates)
    outcomes: list[Outcome] = []
    _keep_key(key, folder)
    live = Live(key)
    with live.shown():
        for job, outcome in outcomes_of(jobs, live.running):
            outcomes.append(outcome)
            rows = leaderboard(plan, key, outcomes)
            _keep_figures(outcome, key, folder)
            write_harness(job, key, folder_name(key.exam.stem), outcome)
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
    solution = AnswerKey(
        answers=dict(zip(ids, key.answers, strict=True)),
        usage=dict(zip(ids, key.usage, strict=True)),
    )
    write_answer_key(folder / "solution.csv", solution)


@contextmanager
def _by(ray: str | None) -> Iterator[Scorer]:
    """What scores jobs: this process one after another, or a Ray cluster."""
    if ray is None:
        yield lambda jobs, watch: ((job, outcome_of(job, watch)) for job in jobs)
        return
    from solution.explore.cluster import outcomes_by_ray

    with connected(ray):
        yield outcomes_by_ray


def _keep_figures(outcome: Outcome, key: Key, folder: Path) -> None:
    """Put what a run earned into its metrics; written again only where the key has changed."""
    if outcome.measured is None:
        return
    earned = figures(key, [(answer,) for answer in outcome.answers])
    earned |= order_effect(key.questions, key.answers, outcome.scored or [])
    whole = outcome.measured | earned | {"exam": key.exam.name}
    if whole != outcome.measured:
        write_json(folder / folder_name(outcome.name) / "metrics.json", whole)


def _job(plan: Suite, candidate: Candidate, prompt: Prompt, key: Key, folder: Path) -> Job:
    questions = without_answers(key.questions)
    if candidate.retrieve:
        label = candidate.name
        questions = retrieve_passages(
            questions, candidate.retrieve, prompt, label=label
        ).questions
    return Job(
        name=candidate.name,
        place=folder / folder_name(candidate.name),
        reference=candidate.reference,
        prompt=prompt,
        questions=questions,
        batch_tokens=plan.batch_tokens,
        permutations=plan.permutations,
        debias=plan.debias,
        generation=candidate.writes,
    )
