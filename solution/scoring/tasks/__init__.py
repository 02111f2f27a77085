"""Academic benchmarks: tasks of lm-evaluation-harness and of the reference studies."""

from solution.scoring.tasks.benchmark import (
    BenchmarkResult,
    BenchmarkTask,
    PromptFamily,
    evaluate_benchmark,
    load_tasks,
    run_harness,
)

__all__ = [
    "BenchmarkResult",
    "BenchmarkTask",
    "PromptFamily",
    "evaluate_benchmark",
    "load_tasks",
    "run_harness",
]
