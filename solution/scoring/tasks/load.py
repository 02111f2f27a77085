"""Benchmark tasks: what is evaluated, and its loading through the harness's TaskManager."""

from __future__ import annotations

import functools
import importlib.metadata
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import yaml

from solution.core import Config, UserError, resolve_path, sha256_file

# Whose prompts: the harness's own, those of the Korean studies' fork, or KoAlpaca's.
PromptFamily = Literal["harness", "polyglot", "koalpaca"]
TASKS = Path(__file__).parent
SEED = 1234  # of the shots; the harness's default


class BenchmarkTask(Config):
    """One task at one number of shots.

    Attributes:
        task: its name in the harness, or in this folder without the prompt family's prefix.
        data: folder of local files; the hub where None.
        fixed_shots: show the same shots with every row instead of drawing them for each.
        length_normalized: divide log-likelihoods by the characters of the choice (`acc_norm`).
        limit: number of rows of each part of the task; all where None.

    """

    task: str
    prompt_family: PromptFamily = "harness"
    num_fewshot: int = 0
    fixed_shots: bool = False
    length_normalized: bool = False
    limit: int | None = None
    data: str | None = None

    @property
    def full_name(self) -> str:
        """The task's name in the index of tasks."""
        prefix = "" if self.prompt_family == "harness" else f"{self.prompt_family}_"
        return prefix + self.task

    def files(self) -> dict[str, Path]:
        """Return the local files by split; none where the rows come from the hub.

        Raises UserError where the task has no local layout or a file is missing.
        """
        if self.data is None:
            return {}
        known = local_files()
        name = "mmlu" if self.task.startswith("mmlu_") else self.task
        if name not in known:
            raise UserError(
                f"{self.task}: no layout of local files; known are {', '.join(known)}. "
                "Leave --data out to read it from the hub."
            )
        folder, found = resolve_path(self.data), {}
        for split, file in known[name]["dataset_kwargs"]["data_files"].items():
            path = next(
                (p for p in (folder / file, folder / f"{file}.gz") if p.is_file()), None
            )
            if path is not None:
                found[split] = path
            elif not (name.startswith("nsmc") and split == "train"):
                raise UserError(f"{folder / file}: not found. Put it there or change --data.")
        return found

    def inputs(self) -> dict[str, Any]:
        """Return everything that decides the scores, files by their content."""
        return {
            **self.model_dump(mode="json", exclude={"data"}),
            "data": [sha256_file(path) for path in self.files().values()] or "hub",
            "lm_eval": importlib.metadata.version("lm_eval"),
        }


@functools.cache
def local_files() -> dict[str, dict[str, Any]]:
    """Return the settings of `local_files.yaml` by task."""
    text = (TASKS / "local_files.yaml").read_text(encoding="utf-8")
    return {k: v for k, v in yaml.safe_load(text).items() if not k.startswith("_")}


def load_tasks(task: BenchmarkTask, tokenizer: Any) -> list[Any]:
    """Load the harness's task objects: one, or the parts of a group such as MMLU.

    Raises UserError where the task is unknown or its rows cannot be loaded.
    """
    manager = task_manager()
    if task.full_name not in manager.all_tasks:
        raise UserError(
            f"{task.task}: no task of this name with prompts of family {task.prompt_family}; "
            "see `./run.sh harness ls tasks`."
        )
    with _loading(task):
        specs = _local_specs(task) if task.data is not None else [task.full_name]
        tasks = list(manager.load(specs)["tasks"].values())
    for one in tasks:
        one.set_config("num_fewshot", task.num_fewshot)
        if most := (one.config.metadata or {}).get("max_shot_tokens"):
            _keep_short_shots(one, tokenizer, most, task.num_fewshot)
        if task.fixed_shots and task.num_fewshot:
            _fix_shots(one)
    return tasks


def _local_specs(task: BenchmarkTask) -> list[dict[str, Any]]:
    """Return the task (or MMLU's subjects) with its rows taken from local files."""
    from solution.scoring.tasks import functions

    files = {split: str(path) for split, path in task.files().items()}
    name = "mmlu" if task.task.startswith("mmlu_") else task.task
    entry = dict(local_files()[name])
    for key in ("process_docs", "custom_dataset"):
        if key in entry:
            entry[key] = getattr(functions, entry[key])
    entry["dataset_kwargs"] = {**entry["dataset_kwargs"], "data_files": files}
    if name == "mmlu":
        members = [
            {"task": f"mmlu_{subject}", **_filtered(entry, subject)}
            for subject in _subjects(task, files["test"])
        ]
    else:
        members = [{"task": task.full_name, "dataset_name": None, **entry}]
        if "train" not in files and not name.startswith("nsmc"):
            members[0]["training_split"] = None
    return [{"group": "local_files", "task": members}]


def _subjects(task: BenchmarkTask, file: str) -> list[str]:
    if task.task != "mmlu":
        return [task.task.removeprefix("mmlu_")]
    from pyarrow import parquet

    return sorted(set(parquet.read_table(file, columns=["subject"])["subject"].to_pylist()))


def _filtered(entry: dict[str, Any], subject: str) -> dict[str, Any]:
    options = {**entry["dataset_kwargs"], "filters": [("subject", "==", subject)]}
    return {**entry, "dataset_name": None, "dataset_kwargs": options}


@functools.cache
def task_manager() -> Any:
    """The index of the harness's tasks and this folder's, read once (thousands of files)."""
    import datasets
    from lm_eval.tasks import TaskManager

    # A warning per task and a bar per dataset would bury the progress.
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    datasets.disable_progress_bars()
    return TaskManager(include_path=str(TASKS))


@contextmanager
def _loading(task: BenchmarkTask) -> Iterator[None]:
    from datasets.exceptions import DatasetsError

    try:
        yield
    except (DatasetsError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        where = f"the files under {task.data} are not as expected"
        if task.data is None:
            where = "its rows cannot be loaded from the hub: go online, or give --data DIR"
        raise UserError(f"{task.task}: {where} ({type(error).__name__}: {reason})") from error


def _keep_short_shots(task: Any, tokenizer: Any, most: int, shots: int) -> None:
    """Draw shots only from documents of at most `most` tokens."""
    docs = list(task.fewshot_docs())
    ids = tokenizer([doc["document"] for doc in docs])["input_ids"]
    short = [doc for doc, own in zip(docs, ids, strict=True) if len(own) <= most]
    if len(short) < shots:
        raise UserError(
            f"{task.task_name}: only {len(short)} reviews are short enough for shots."
        )
    task.sampler.replace_df(short)


def _fix_shots(task: Any) -> None:
    """Restart the stream of shots before every row, so that all rows get the first draw."""
    draw = task.sampler.sample

    def sample(n: int, *given: Any, **options: Any) -> Any:
        task.set_fewshot_seed(SEED)
        return draw(n, *given, **options)

    task.sampler.sample = sample
