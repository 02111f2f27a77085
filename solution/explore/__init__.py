"""From a suite of candidates to a leaderboard with intervals and paired tests."""

from solution.explore.baselines import baselines
from solution.explore.command import explore
from solution.explore.metrics import ExamKey, accuracy_per_question, exam_metrics
from solution.explore.statistics import (
    adjusted_pairwise,
    clustered_error,
    clustered_interval,
    format_accuracy,
    holm,
    macro_f1,
    mcnemar,
)

__all__ = [
    "ExamKey",
    "accuracy_per_question",
    "adjusted_pairwise",
    "baselines",
    "clustered_error",
    "clustered_interval",
    "exam_metrics",
    "explore",
    "format_accuracy",
    "holm",
    "macro_f1",
    "mcnemar",
]
