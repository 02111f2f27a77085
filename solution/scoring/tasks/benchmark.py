"""Evaluate a model on one benchmark through `lm_eval.simple_evaluate`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from solution.core import UserError, fingerprint
from solution.scoring.evaluate import peak_memory_gib, token_metrics
from solution.scoring.score_cache import ScoreCache
from solution.scoring.scorer import ChoiceScores, normalise
from solution.scoring.tasks.load import SEED, BenchmarkTask, load_tasks, task_manager

if TYPE_CHECKING:
    from solution.models import LoadedModel

# Columns of the harness's tasks whose equal values make rows dependent on each other.
GROUP_BY = {"kobest_boolq": "paragraph", "kobest_hellaswag": "context", "kobest_wic": "word"}


@dataclass(frozen=True)
class BenchmarkResult:
    """Scores of every row, the key to them (JSON), and the metrics of the work."""

    scored: list[ChoiceScores]
    key: dict[str, list[Any]]
    metrics: dict[str, Any]


def evaluate_benchmark(
    loaded: LoadedModel,
    task: BenchmarkTask,
    *,
    batch_tokens: int,
    label: str,
    cache: ScoreCache | None = None,
    excluded: frozenset[str] = frozenset(),
    on_progress: Callable[[int, int], None] | None = None,
) -> BenchmarkResult:
    """Score every row of a task; rows whose id is in `excluded` are left out of the result.

    `on_progress(done, total)` counts requests and replaces the progress on stderr.
    Raises UserError where the task or its rows cannot be loaded, or no row is left.
    """
    from lm_eval import simple_evaluate

    from solution.scoring.lm_eval_model import ExamQA

    start = time.monotonic()
    tasks = load_tasks(task, loaded.tokenizer)
    model = ExamQA(
        pretrained=loaded.model,
        tokenizer=loaded.tokenizer,
        max_length=loaded.max_length,
        batch_tokens=batch_tokens,
        cache=cache,
        label=label,
        on_progress=on_progress,
        tokenize_separately=task.prompt_family == "polyglot",
    )
    results = simple_evaluate(
        model=model,
        tasks=tasks,
        task_manager=task_manager(),
        limit=task.limit,
        bootstrap_iters=0,
        fewshot_random_seed=SEED,
        log_samples=True,
    )
    rows = [
        row for one in tasks for row in _rows(task, one, results["samples"], model.truncated)
    ]
    kept = [row for row in rows if row["id"] not in excluded]
    if not kept:
        raise UserError(
            f"{label}: no rows left after exclusions; check `exclude` and the data."
        )
    metrics = {
        "questions": len(kept),
        "rows_sha256": fingerprint([row["prompt"] for row in kept]),
        "truncated_rows": sum(row["truncated"] for row in kept),
        "excluded_rows": len(rows) - len(kept),
        "seconds": time.monotonic() - start,
        "peak_memory_gib": peak_memory_gib(loaded.device),
        **token_metrics(model.counts),
    }
    return BenchmarkResult([row["scored"] for row in kept], _key(kept), metrics)


def _rows(
    task: BenchmarkTask, part: Any, samples: dict[str, Any], truncated: set[Any]
) -> Iterator[dict[str, Any]]:
    """Yield what scoring needs of each logged sample of a part."""
    name = part.task_name
    metadata = part.config.metadata or {}
    group_by = metadata.get("group_by") or GROUP_BY.get(name)
    space = len(part.config.target_delimiter)
    for sample in samples[name]:
        doc, pairs = sample["doc"], [tuple(pair) for pair in sample["arguments"]]
        values = [float(value) for value, _ in sample["filtered_resps"]]
        texts = [text[space:] for _, text in pairs]
        if task.length_normalized:
            values = [v / max(1, len(t)) for v, t in zip(values, texts, strict=True)]
        number = doc.get("row", sample["doc_id"])
        id = doc.get("row_id") or f"{name.removeprefix('polyglot_')}-{number}"
        scored = normalise(id, values)
        yield {
            "id": id,
            "scored": scored,
            "answer": 1 + _gold(sample["target"], texts),
            "group": str(doc[group_by]) if group_by else id,
            "subject": name.removeprefix("mmlu_") if task.task == "mmlu" else "",
            "true": doc["mc2_targets"]["labels"] if task.task == "truthfulqa_mc2" else [],
            "spontaneous": bool(sample["filtered_resps"][scored.answer - 1][1]),
            "truncated": any(pair in truncated for pair in pairs),
            "prompt": [pairs, sample["target"]],
        }


def _gold(target: Any, texts: Sequence[str]) -> int:
    """Return the index of the answer, which a task names by number or by text."""
    if isinstance(target, str) and target in texts:
        return texts.index(target)
    return int(target)


def _key(rows: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """Return the columns that metrics need; groups become numbers."""
    numbers: dict[str, int] = {}
    names = ("answer", "subject", "true", "spontaneous")
    return {
        **{name: [row[name] for row in rows] for name in names},
        "group": [numbers.setdefault(row["group"], len(numbers)) for row in rows],
    }


def run_harness(arguments: Sequence[str]) -> None:
    """Run lm-evaluation-harness's command line with `exam-qa` among its models.

    Ends the process as the harness does where it rejects the arguments.
    """
    import sys

    from lm_eval.__main__ import cli_evaluate

    import solution.scoring.lm_eval_model  # noqa: F401  (importing it registers the model)

    sys.argv = ["lm_eval", *arguments]
    cli_evaluate()
