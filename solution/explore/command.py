"""The command: score every candidate of a suite, and write its leaderboard or tables."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from solution.core import UserError, atomic_write, exclusive_lock, resolve_path, write_json
from solution.exam import AnswerKey, Prompt, load_prompt, write_answer_key, write_exam
from solution.explore.job import Cell, ExamCell, Job, TaskCell, without_answers
from solution.explore.leaderboard import format_leaderboard, leaderboard, write_leaderboard
from solution.explore.live_progress import LiveProgress
from solution.explore.lm_eval_results import write_lm_eval_results
from solution.explore.metrics import ExamKey, column_metrics, exam_metrics, right_rows
from solution.explore.published import Column, PublishedRow, read_published
from solution.explore.question_sets import read_exams, read_exclusions
from solution.explore.run_candidates import (
    CandidateResult,
    CellResult,
    ProgressHook,
    run_candidates,
)
from solution.explore.statistics import order_effect
from solution.explore.suite import Candidate, Metric, Suite, folder_name, load_suite
from solution.explore.tables import TableRow, format_tables, suite_columns, write_results
from solution.kowiki import retrieve_passages
from solution.scoring import BenchmarkTask

Runner = Callable[[Iterable[Job], ProgressHook], Iterator[tuple[Job, CandidateResult]]]


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
    """Score the candidates of a suite and return its table; files go to runs/explore/<suite>/.

    `exam` (with `solution`, or holding its own answers) replaces the suite's exams, `data` is
    the folder of local files for its tasks, `overrides` are `key=value` changes, and `ray` is
    the address of a Ray cluster, or "local" to start one here.

    Finished runs whose inputs have not changed are reused; interrupted ones resume. Raises
    UserError for invalid input before anything is written, and where nothing was scored.
    """
    plan = load_suite(suite, overrides, data=data)
    if (exam or solution) and not plan.exams:
        raise UserError(f"suite {suite} is a benchmark suite: use --data instead of --exam.")
    if data is not None and plan.exams and not plan.tasks and not plan.skip_missing:
        raise UserError(f"suite {suite} is an exam suite: use --exam instead of --data.")
    sweep = _prepare(plan, exam, solution, out)
    with (
        exclusive_lock(
            sweep.home / ".lock",
            f"{sweep.home}: another explore is running there; wait, or use another --out.",
        ),
        _runner(ray) as run,
    ):
        return _run(sweep, run)


@dataclass
class _Sweep:
    """A suite with everything it needs, and the results so far."""

    suite: Suite
    home: Path
    keys: dict[str, ExamKey]
    prompts: dict[str, Prompt]
    tasks: dict[str, tuple[Column, Metric, BenchmarkTask]]
    excluded: frozenset[str]
    published: list[PublishedRow]
    results: dict[str, CandidateResult] = field(default_factory=dict)

    @property
    def one_exam(self) -> bool:
        """Whether there is one leaderboard, in the home folder itself."""
        return len(self.keys) == 1 and not self.tasks and len(self.suite.exams) == 1

    def folder(self, exam: str) -> Path:
        """The folder of an exam's leaderboard and runs."""
        return self.home if self.one_exam else self.home / folder_name(exam)


def _prepare(
    suite: Suite, exam: Path | None, solution: Path | None, out: Path | None
) -> _Sweep:
    """Read everything that a sweep needs; raises UserError where something is invalid."""
    if exam is not None:
        suite = suite.model_copy(update={"exams": suite.exams[:1], "tasks": []})
    prompts = {c.name: load_prompt(c.prompt or suite.prompt) for c in suite.candidates}
    tasks: dict[str, tuple[Column, Metric, BenchmarkTask]] = {}
    for entry in suite.tasks:
        for shots in entry.shots:
            task = suite.benchmark(entry, shots)
            task.files()  # raises where one is missing
            tasks[_cell_name(task)] = ((entry.task, shots), entry.metric, task)
    return _Sweep(
        suite=suite,
        home=out or Path("runs") / "explore" / folder_name(suite.name),
        keys=read_exams(suite, exam, solution),
        prompts=prompts,
        tasks=tasks,
        excluded=read_exclusions([resolve_path(f) for f in suite.exclude]).ids,
        published=read_published(suite.published, suite.prompt_family),
    )


def _cell_name(task: BenchmarkTask) -> str:
    """The name of a task's run: prompt families and ways to draw shots never share one."""
    drawn = ".fixed" if task.fixed_shots else ""
    part = f".first{task.limit}" if task.limit else ""
    return f"{task.task}.{task.prompt_family}.{task.num_fewshot}shot{drawn}{part}"


@contextmanager
def _runner(ray: str | None) -> Iterator[Runner]:
    """What scores jobs: worker processes one after another, or a Ray cluster."""
    if ray is None:
        yield run_candidates
        return
    from solution.explore.ray_cluster import connected, run_on_ray

    with connected(ray):
        yield run_on_ray


def _run(sweep: _Sweep, run: Runner) -> str:
    """Score the candidates; leaderboards and tables are written after each."""
    for name, key in sweep.keys.items():
        _write_exam(key, sweep.folder(name))
    jobs = (_job(sweep, candidate) for candidate in sweep.suite.candidates)
    live = LiveProgress(sweep.keys)
    text = ""
    with live.shown():
        for job, result in run(jobs, live.running):
            sweep.results[job.name] = result
            _write_exam_results(sweep, job, result)
            text = _write(sweep)
    if not any(result.cells for result in sweep.results.values()):
        reasons = dict.fromkeys(f"  {r.name}: {r.reason}" for r in sweep.results.values())
        raise UserError("\n".join(["no candidate could be scored:", *reasons]))
    return text


def _write_exam(key: ExamKey, folder: Path) -> None:
    """Write the exam and its answers beside the runs: the report shows them as scored."""
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


def _job(sweep: _Sweep, candidate: Candidate) -> Job:
    path = sweep.home / folder_name(candidate.name)
    cells: list[Cell] = [_exam_cell(sweep, candidate, name) for name in sweep.keys]
    cells += [
        TaskCell(name=name, path=path / name, task=task, excluded=sweep.excluded)
        for name, (_, _, task) in sweep.tasks.items()
    ]
    return Job(
        name=candidate.name,
        path=path,
        reference=candidate.reference,
        cells=tuple(cells),
        batch_tokens=sweep.suite.batch_tokens,
    )


def _exam_cell(sweep: _Sweep, candidate: Candidate, exam: str) -> ExamCell:
    prompt = sweep.prompts[candidate.name]
    questions = without_answers(sweep.keys[exam].questions)
    if candidate.retrieve:
        found = retrieve_passages(questions, candidate.retrieve, prompt, label=candidate.name)
        questions = found.questions
    return ExamCell(
        name=exam,
        path=sweep.folder(exam) / folder_name(candidate.name),
        questions=questions,
        prompt=prompt,
        permutations=sweep.suite.permutations,
        debias=sweep.suite.debias,
        generation=candidate.generation_config,
    )


def _write_exam_results(sweep: _Sweep, job: Job, result: CandidateResult) -> None:
    """Add an exam's metrics to the run's where the key has changed; write lm-eval's files."""
    for cell in job.cells:
        if isinstance(cell, TaskCell) or cell.name not in result.cells:
            continue
        found, key = result.cells[cell.name], sweep.keys[cell.name]
        earned = exam_metrics(key, [(answer,) for answer in found.answers])
        earned |= order_effect(key.questions, key.answers, found.scored)
        whole = found.metrics | earned | {"exam": key.exam.name}
        if whole != found.metrics:
            write_json(cell.path / "metrics.json", whole)
        task = folder_name(key.exam.stem)
        write_lm_eval_results(cell, job.reference, key, task, found.scored)


def _write(sweep: _Sweep) -> str:
    """Write the leaderboards, and tables where there are several columns; return the text."""
    for name, key in sweep.keys.items():
        folder = sweep.folder(name)
        rows = leaderboard(sweep.suite, name, key, sweep.results)
        write_leaderboard(folder / "leaderboard.csv", key, rows)
        page = format_leaderboard(sweep.suite, key, rows, as_markdown=True)
        _write_page(folder / "leaderboard.md", f"# Leaderboard\n\n{page}")
        if sweep.one_exam:
            table = format_leaderboard(sweep.suite, key, rows)
            return f"{table}\n\nIn full: {folder / 'leaderboard.csv'}"
    columns = suite_columns(sweep.suite, list(sweep.keys))
    table_rows = [_table_row(sweep, candidate.name) for candidate in sweep.suite.candidates]
    path = sweep.home / "results.csv"
    write_results(path, sweep.suite, columns, table_rows, sweep.published)
    shown = (sweep.suite, columns, table_rows, sweep.published)
    _write_page(sweep.home / "results.md", format_tables(*shown, as_markdown=True))
    return f"{format_tables(*shown)}\n\nIn full: {path}"


def _write_page(path: Path, text: str) -> None:
    with atomic_write(path) as partial:
        partial.write_text(text, encoding="utf-8")


def _table_row(sweep: _Sweep, name: str) -> TableRow:
    row = TableRow(name)
    result = sweep.results.get(name)
    if result is None:
        return row
    row.reason = result.reason
    for cell, found in result.cells.items():
        if cell in sweep.tasks:
            column, metric, _ = sweep.tasks[cell]
            _add_cell(row, column, metric, found, found.key or {})
        else:
            key = sweep.keys[cell]
            _add_cell(row, (cell, 0), "acc", found, key.columns())
            row.cells[cell, 0]["excluded_rows"] = key.excluded
    return row


def _add_cell(
    row: TableRow,
    column: Column,
    metric: Metric,
    found: CellResult,
    key: dict[str, list[object]],
) -> None:
    row.cells[column] = found.metrics | column_metrics(metric, key, found.scored)
    row.right[column] = right_rows(key, found.scored)
