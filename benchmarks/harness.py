"""Whole benchmarks of lm-evaluation-harness on its own model and on our engine: equal scores?

    python benchmarks/harness.py --data FOLDER [--model data/embedded/models/tiny-s] [--shots 0]

FOLDER holds kobest/, mmlu/, arc/, hellaswag/ and truthfulqa/; every row of each is asked, on
the CPU in float32. Prints a row a benchmark (MMLU's 57 subjects are one): its scores by both,
the greatest difference of a score and of a log-likelihood, and the seconds of both.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

BENCHMARKS = [
    *(f"kobest_{name}" for name in ("boolq", "copa", "hellaswag", "sentineg", "wic")),
    *("arc_challenge", "hellaswag", "truthfulqa_mc1", "truthfulqa_mc2", "mmlu"),
]
Results = dict[str, Any]


def subjects(data: Path) -> list[str]:
    """MMLU's subjects, as tasks."""
    import pandas as pd

    found = pd.read_parquet(data / "mmlu" / "mmlu_test.parquet", columns=["subject"])
    return sorted(f"mmlu_{name}" for name in found["subject"].unique())


def evaluate(model: Any, tasks: Sequence[str], shots: int, data: Path) -> tuple[float, Results]:
    """Seconds, and what the harness makes of every row of the tasks on `model`."""
    import lm_eval

    from solution.scoring import BenchmarkTask, load_tasks

    names = [BenchmarkTask(task=name, num_fewshot=shots, data=str(data)) for name in tasks]
    loaded = [one for name in names for one in load_tasks(name, model.tokenizer)]
    began = time.perf_counter()
    results = lm_eval.simple_evaluate(model=model, tasks=loaded, bootstrap_iters=0)
    return time.perf_counter() - began, results


def scores(results: Results, tasks: Sequence[str]) -> list[float]:
    """Every figure of every task, in one order."""
    return [
        float(value)
        for task in tasks
        for name, value in sorted(results["results"][task].items())
        if isinstance(value, float) and "stderr" not in name
    ]


def log_likelihoods(results: Results, tasks: Sequence[str]) -> list[float]:
    """Of every choice of every row, in one order."""
    return [
        float(value)
        for task in tasks
        for sample in results["samples"][task]
        for value, _ in sample["filtered_resps"]
    ]


def furthest(ours: Sequence[float], theirs: Sequence[float]) -> float:
    return max(abs(a - b) for a, b in zip(ours, theirs, strict=True))


def main() -> None:
    """Print the table, a row as soon as it is known."""
    import torch
    from lm_eval.models.huggingface import HFLM

    from solution.scoring.lm_eval_model import ExamQA

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="data/embedded/models/tiny-s")
    parser.add_argument("--shots", type=int, default=0)
    parser.add_argument("--batch", type=int, default=16, help="rows a batch of the harness")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="*", default=BENCHMARKS)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    options = {"pretrained": given.model, "device": "cpu", "dtype": "float32"}
    theirs, ours = HFLM(**options, batch_size=given.batch), ExamQA(**options)
    print(
        "| benchmark | rows | score of the harness | ours | greatest difference of a score "
        "| of a log-likelihood | harness | ours |\n" + "|---" * 8 + "|"
    )
    for name in given.only:
        tasks = subjects(given.data) if name == "mmlu" else [name]
        slow, expected = evaluate(theirs, tasks, given.shots, given.data)
        fast, found = evaluate(ours, tasks, given.shots, given.data)
        rows = sum(len(found["samples"][task]) for task in tasks)
        right, mine = scores(expected, tasks), scores(found, tasks)
        apart = furthest(log_likelihoods(found, tasks), log_likelihoods(expected, tasks))
        print(
            f"| {name} | {rows} | {sum(right) / len(right):.4f} | {sum(mine) / len(mine):.4f} "
            f"| {furthest(mine, right):.1e} | {apart:.1e} | {slow:.0f} s | {fast:.0f} s |",
            flush=True,
        )


if __name__ == "__main__":
    main()
