"""The suite: one YAML file of candidates, and of exams and tasks to score them on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from solution.core import Config, LocalPath, load_config, path_from_here, resolve_config
from solution.kowiki import RetrievalConfig
from solution.models import ModelReference
from solution.scoring import BenchmarkTask, Debias, GenerationConfig, PromptFamily, orders_fault

WITH_PASSAGES_SUFFIX = "-with-passages"
# acc and acc_norm are lm-evaluation-harness's; acc_by_subject is the mean of the subjects'
# accuracies, mc2 the probability of all true choices.
Metric = Literal["acc", "acc_norm", "macro_f1", "acc_by_subject", "mc2"]
# Names become directories: none may be hidden, climb out or be one that explore itself writes.
_NAME = re.compile(r"(?:[\w-][\w.-]*/)*[\w-][\w.-]*")
_RESERVED = "harness"  # results in lm-evaluation-harness's layout
_RESERVED_ENDINGS = (".csv", ".md", ".log", ".work", ".old", ".partial")
# Keys of earlier versions, and what to write today.
_RENAMED = {
    "figure": "metric (acc, acc_norm, macro_f1, acc_by_subject or mc2)",
    "fast": "fixed_shots",
    "family": "prompt_family; for family exam, list the question sets under exams",
    "rule": "metric: acc_norm (for by_length) or acc (for likeliest)",
}


def _check_name(name: str) -> str:
    if (
        not _NAME.fullmatch(name)
        or name.startswith("-")
        or name.lower().endswith(_RESERVED_ENDINGS)
    ):
        raise ValueError(
            "a name may hold letters, digits and . _ - / only, no part may start with a dot, "
            f"and it may not end in {', '.join(_RESERVED_ENDINGS)}"
        )
    if name.lower() == _RESERVED:
        raise ValueError(f"{_RESERVED} is reserved; choose another name")
    return name


def _name_new_keys(data: Any) -> Any:
    """Reject keys of earlier versions with their new names."""
    if isinstance(data, dict):
        for old in _RENAMED.keys() & data.keys():
            raise ValueError(f"{old}: this key is now {_RENAMED[old]}")
    return data


Name = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_check_name)]


def folder_name(name: str) -> str:
    """Return the directory name of a suite, exam or candidate."""
    return name.replace("/", "__")


class Published(Config):
    """Published accuracies of a candidate, shown beside the measured ones."""

    public: float = Field(ge=0, le=1)
    private: float = Field(ge=0, le=1)
    source: str


class Candidate(ModelReference):
    """A model to score.

    Attributes:
        name: its name in the leaderboard, and its run's directory.
        prompt: prompt for exams, if not the suite's.
        licence: its terms according to its page; shown only.
        retrieve: which exam questions it sees with passages from a wiki.
        published: published accuracies on the exam.
        scorer: `generate` parses the answer from generated text (see `generation`) instead of
            comparing the probabilities of the choices.

    """

    name: Name
    prompt: LocalPath | None = None
    licence: str = ""
    retrieve: RetrievalConfig | None = None
    published: Published | None = None
    scorer: Literal["probability", "generate"] = "probability"
    generation: GenerationConfig | None = None

    @model_validator(mode="after")
    def _generation_is_used(self) -> Candidate:
        if self.generation and self.scorer != "generate":
            raise ValueError("generation: has no effect without scorer: generate")
        return self

    @property
    def reference(self) -> ModelReference:
        """The model alone, without what the suite says about it."""
        return ModelReference(**self.model_dump(include=set(ModelReference.model_fields)))

    @property
    def generation_config(self) -> GenerationConfig | None:
        """How it generates its answers; None where probabilities are compared."""
        return (self.generation or GenerationConfig()) if self.scorer == "generate" else None


class ExamEntry(Config):
    """An exam.

    Attributes:
        name: its name, and the directory of its leaderboard where there are several.
        title: heading of its column where there are several.
        exam: CSV in the contest's layout, or several with `*`; below `data` where that is set.
        solution: CSV with the answers, where the exam has none.
        hub: question set on the hub that replaces `exam` while `data` is not set.
        columns: the file's columns by part, such as {question: stem}, where not recognised.

    """

    name: Name
    title: str = ""
    exam: str
    columns: dict[str, str] = Field(default={})
    solution: LocalPath | None = None
    hub: Literal["kmmlu", "click", "mmmlu_ko"] | None = None


class TaskEntry(Config):
    """A task of lm-evaluation-harness or of `solution/scoring/tasks`.

    Attributes:
        task: its name.
        title: heading of its table or column.
        shots: numbers of examples; one column each.
        metric: the metric shown.

    """

    task: Name
    title: str = ""
    shots: list[int] = Field(default=[0], min_length=1)
    metric: Metric = "acc"

    @model_validator(mode="before")
    @classmethod
    def _old_keys(cls, data: Any) -> Any:
        return _name_new_keys(data)

    @model_validator(mode="after")
    def _shots_differ(self) -> TaskEntry:
        if len(set(self.shots)) < len(self.shots) or min(self.shots) < 0:
            raise ValueError("shots: expected different numbers from 0 on, such as [0, 5, 10]")
        return self


class Suite(Config):
    """Candidates, and the exams and tasks to score them on.

    Attributes:
        prompt: prompt for exams; tasks have their own (see `prompt_family`).
        batch_tokens: largest number of tokens computed at a time.
        permutations: orders of the choices per exam question; probabilities are averaged.
        debias: `pride` corrects for a model's bias towards positions.
        seed: draws the public and private split where the answer key has none.
        retrieve: score every candidate also with passages, as `<name>-with-passages`.
        prompt_family: whose prompts the tasks use.
        fixed_shots: show the same examples with every row; hides published figures.
        limit: number of rows of each part of a task; hides published figures.
        data: folder of local files for tasks and exams; tasks come from the hub without it.
        exclude: files of ids, or training files, whose questions are not scored.
        skip_missing: leave out exams whose file is missing instead of refusing to start.
        percent, average: show figures in percent, and a column with the mean of a row.
        published: CSV of published figures.

    """

    name: Name
    description: str = ""
    prompt: LocalPath = "contest"
    batch_tokens: int = Field(default=16384, ge=1)
    permutations: int = 1
    debias: Debias = "none"
    seed: int = 0
    retrieve: RetrievalConfig | None = None
    prompt_family: PromptFamily = "harness"
    fixed_shots: bool = False
    limit: int | None = Field(default=None, ge=1)
    data: LocalPath | None = None
    exclude: list[LocalPath] = Field(default=[])
    skip_missing: bool = False
    percent: bool = False
    average: bool = False
    published: LocalPath | None = None
    exams: list[ExamEntry] = Field(default=[])
    tasks: list[TaskEntry] = Field(default=[])
    candidates: list[Candidate] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _old_keys(cls, data: Any, info: ValidationInfo) -> Any:
        data = _name_new_keys(data)
        if not isinstance(data, dict) or data.get("data") or not data.get("exams"):
            return data
        exams = [
            {**one, "exam": path_from_here(one.get("exam"), info)}
            if isinstance(one, dict)
            else one
            for one in data["exams"]
        ]
        return {**data, "exams": exams}

    @model_validator(mode="after")
    def _orders_fit(self) -> Suite:
        if fault := orders_fault(self.permutations, self.debias):
            raise ValueError(fault)
        generating = [one.name for one in self.candidates if one.generation_config]
        if generating and (self.permutations > 1 or self.debias != "none"):
            raise ValueError(
                f"{', '.join(generating)}: scorer generate keeps each row's own order; remove "
                "permutations and debias, or move it to a suite of its own"
            )
        return self

    @model_validator(mode="after")
    def _names_differ(self) -> Suite:
        if not self.exams and not self.tasks:
            raise ValueError("exams: expected at least one exam, or a task under tasks")
        columns = [entry.name for entry in self.exams] + [entry.task for entry in self.tasks]
        _check_names("exams and tasks", columns)
        _check_names("candidates", [candidate.name for candidate in self.candidates])
        return self

    @property
    def is_leaderboard(self) -> bool:
        """Whether it has one exam and nothing else: a leaderboard instead of tables."""
        return len(self.exams) == 1 and not self.tasks

    def benchmark(self, entry: TaskEntry, shots: int) -> BenchmarkTask:
        """Return what is evaluated for one column."""
        return BenchmarkTask(
            task=entry.task,
            prompt_family=self.prompt_family,
            num_fewshot=shots,
            fixed_shots=self.fixed_shots,
            length_normalized=entry.metric == "acc_norm",
            limit=self.limit,
            data=self.data,
        )

    def with_passages(self) -> Suite:
        """Return the suite with every candidate also as `<name>-with-passages`."""
        if self.retrieve is None:
            return self
        pairs = [
            [
                one,
                one.model_copy(
                    update={"name": one.name + WITH_PASSAGES_SUFFIX, "retrieve": self.retrieve}
                ),
            ]
            for one in self.candidates
        ]
        both = [one for pair in pairs for one in pair]
        return self.model_copy(update={"candidates": both, "retrieve": None})


def _check_names(kind: str, names: Iterable[str]) -> None:
    """Raise ValueError where two names would share one directory."""
    seen: dict[str, str] = {}
    for name in names:
        folder = folder_name(name).casefold()  # some file systems ignore case
        if folder in seen:
            raise ValueError(
                f"{kind}: {seen[folder]!r} and {name!r} would share one directory; rename one"
            )
        seen[folder] = name


def load_suite(name: str, overrides: Sequence[str] = (), *, data: Path | None = None) -> Suite:
    """Read a suite by its short name or from a YAML file, with `key=value` overrides.

    `data` replaces the suite's. Raises UserError naming the file, key and what was expected.
    """
    given = [] if data is None else [f"data={data}"]
    return load_config(
        resolve_config("suites", name), Suite, [*overrides, *given]
    ).with_passages()
