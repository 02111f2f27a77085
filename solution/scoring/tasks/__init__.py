"""Academic benchmarks: tasks of lm-evaluation-harness and of the reference studies."""

from solution.scoring.tasks.benchmark import BenchmarkResult, evaluate_benchmark, run_harness
from solution.scoring.tasks.load import BenchmarkTask, PromptFamily, load_tasks

__all__ = [
    "BenchmarkResult",
    "BenchmarkTask",
    "PromptFamily",
    "evaluate_benchmark",
    "load_tasks",
    "run_harness",
]
