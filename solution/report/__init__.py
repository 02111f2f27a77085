"""One HTML page that compares finished runs."""

from solution.report.page import report

__all__ = ["report"]
