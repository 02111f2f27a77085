"""Rows of the tasks of lm-evaluation-harness, with its prompts, from the hub or local files."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from solution.core import UserError
from solution.scoring.benchmarks.hub import from_hub
from solution.scoring.benchmarks.rows import Row
from solution.scoring.local_tasks import local_tasks, mmlu_subjects

# The harness's own default: where its draws of shots begin.
SEED = 1234
# What makes rows hang together: they were asked of one text or about one word.
GROUPS = {
    "kobest_boolq": "paragraph",
    "kobest_hellaswag": "context",
    "kobest_wic": "word",
}


def harness_tasks(name: str, shots: int, data: Path | None) -> list[Any]:
    """The harness's task of this name, or a group's many, with rows from `data` or the hub.

    Raises UserError where the harness has no such task or its rows cannot be had.
    """
    manager = _manager()
    if data is None:
        if name not in manager.all_tasks:
            raise UserError(f"{name}: lm-evaluation-harness has no task of this name.")
        asked: Any = name
    else:
        names = [name]
        if name == "mmlu":
            names = [f"mmlu_{subject}" for subject in mmlu_subjects(data)]
        asked = local_tasks(dict.fromkeys(names, shots), data)
    with from_hub(name):
        return list(manager.load([asked])["tasks"].values())


@functools.cache
def _manager() -> Any:
    """The harness's list of tasks, read once: thousands of files."""
    import logging

    import datasets
    from lm_eval.tasks import TaskManager

    # A warning a task and a bar a reading of its rows would bury our own lines.
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    datasets.disable_progress_bars()
    return TaskManager()


def harness_rows(
    name: str, shots: int, data: Path | None, *, fixed: bool, limit: int | None
) -> list[Row]:
    """The rows of a task as the harness asks them, at most `limit` of each of its parts.

    Shots are drawn for every row from one seeded stream, as the harness does; where they are
    `fixed`, every row gets the first draw. MMLU's are the same five for a subject either way.
    """
    rows = []
    for task in harness_tasks(name, shots, data):
        task.set_fewshot_seed(SEED)
        for number, doc in task.doc_iterator(limit=limit):
            if fixed:
                task.set_fewshot_seed(SEED)
            context = task.fewshot_context(doc, num_fewshot=shots)
            rows.append(_row(name, task, doc, context, number))
    return rows


def _row(name: str, task: Any, doc: Any, context: str, number: int) -> Row:
    texts = task.doc_to_choice(doc)
    requests = task.construct_requests(doc, context, metadata=(task.config.task, number, 1))
    true: Sequence[int] = doc["mc2_targets"]["labels"] if name == "truthfulqa_mc2" else ()
    return Row(
        id=f"{task.config.task}-{number}",
        context=context,
        choices=tuple(request.args[1] for request in requests),
        answer=1 + _gold(task.doc_to_target(doc), texts),
        group=str(doc[GROUPS[name]]) if name in GROUPS else "",
        subject=task.config.task.removeprefix("mmlu_") if name == "mmlu" else "",
        lengths=tuple(len(text) for text in texts),
        true=tuple(bool(label) for label in true),
    )


def _gold(target: Any, texts: Sequence[str]) -> int:
    """A task names its answer by number or by text."""
    if isinstance(target, str) and target in texts:
        return texts.index(target)
    return int(target)
