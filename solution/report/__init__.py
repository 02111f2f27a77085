"""From runs to one page a person looks at."""

from solution.report.command import report

__all__ = ["report"]
