"""Finished runs: one HTML page of them, and tables for the terminal."""

from solution.report.compare import compare_runs, list_errors, list_runs
from solution.report.page import report

__all__ = ["compare_runs", "list_errors", "list_runs", "report"]
