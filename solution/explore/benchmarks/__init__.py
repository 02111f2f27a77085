"""Suites of academic benchmarks: candidates on tasks at numbers of shots, in tables."""

from solution.explore.benchmarks.command import explore_benchmarks
from solution.explore.benchmarks.suite import is_benchmark_suite

__all__ = ["explore_benchmarks", "is_benchmark_suite"]
