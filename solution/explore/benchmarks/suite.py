"""The suite of benchmarks: one YAML file that lists candidates, and tasks with their shots."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from solution.core import Config, load_config, read_yaml, resolve_config, resolve_path
from solution.exam import load_prompt
from solution.explore.suite import Entrant, Name, check_names
from solution.scoring import Benchmark, Family, Rule

# What a cell of a table shows; by_subject is the mean of the subjects' accuracies, mc2 the
# probability that falls on the true choices.
Figure = Literal["accuracy", "macro_f1", "by_subject", "mc2"]


class Task(Config):
    """One task: its name in its family, at how many shots, and which figure it is known by.

    `title` heads its table or column. `file` is for family exam: a CSV in the contest's layout
    under the suite's `data`, or several with `*`.
    """

    task: Name
    title: str = ""
    shots: list[int] = Field(default=[0], min_length=1)
    figure: Figure = "accuracy"
    rule: Rule = "likeliest"
    file: str | None = None

    @model_validator(mode="after")
    def _shots_differ(self) -> Task:
        if len(set(self.shots)) < len(self.shots) or min(self.shots) < 0:
            raise ValueError("shots: expected different numbers from 0 on, such as [0, 5, 10]")
        return self


class BenchmarkSuite(Config):
    """Candidates and the tasks that they are asked; all of one family of prompts.

    `fast` gives all rows of a task the same shots, `limit` asks only so many rows of each part
    of a task. Neither is ever compared with published figures.
    """

    name: Name
    description: str = ""
    family: Family
    fast: bool = False
    data: str | None = None
    limit: int | None = Field(default=None, ge=1)
    exclude: list[str] = Field(default=[])
    prompt: str = "contest"
    batch_tokens: int = Field(default=16384, ge=1)
    percent: bool = False
    average: bool = False
    published: str | None = None
    tasks: list[Task] = Field(min_length=1)
    candidates: list[Entrant] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_differ(self) -> BenchmarkSuite:
        check_names("candidates", [candidate.name for candidate in self.candidates])
        check_names("tasks", [task.task for task in self.tasks])
        if self.family == "exam" and any(task.shots != [0] for task in self.tasks):
            raise ValueError("tasks of family exam are asked without shots: shots: [0]")
        return self

    @property
    def one_table(self) -> bool:
        """Whether tasks are columns of one table: where each has one number of shots."""
        return all(len(task.shots) == 1 for task in self.tasks)

    def benchmark(self, task: Task, shots: int) -> Benchmark:
        """What a candidate is asked for one cell."""
        return Benchmark(
            task=task.task,
            family=self.family,
            shots=shots,
            fixed=self.fast,
            rule=task.rule,
            limit=self.limit,
            data=None if self.data is None else str(resolve_path(self.data)),
            file=task.file,
            exclude=self.exclude,
            prompt=load_prompt(self.prompt) if self.family == "exam" else None,
        )


def is_benchmark_suite(name: str) -> bool:
    """Whether the suite of this name or file lists tasks rather than exams."""
    return "tasks" in read_yaml(resolve_config("suites", name))


def load_benchmarks(
    name: str, data: Path | None, overrides: Sequence[str] = ()
) -> BenchmarkSuite:
    """Read a suite by its short name or from a YAML file, with `key=value` overrides.

    `data` takes the place of the suite's folder. Raises UserError naming file, key and remedy.
    """
    given = [] if data is None else [f"data={data}"]
    return load_config(resolve_config("suites", name), BenchmarkSuite, [*overrides, *given])
