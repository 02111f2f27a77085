"""Academic benchmarks on the engine: whose prompts, which rows, and what a model answers."""

from solution.scoring.benchmarks.ask import Benchmark, Family, Given, Rule, ask, rows_mark

__all__ = ["Benchmark", "Family", "Given", "Rule", "ask", "rows_mark"]
