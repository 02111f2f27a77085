"""From a suite of candidates to a leaderboard: scored one by one, compared honestly."""

from solution.explore.baselines import baselines
from solution.explore.command import explore
from solution.explore.key import Key, credits_of, figures
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
    "Key",
    "adjusted_pairwise",
    "baselines",
    "clustered_error",
    "clustered_interval",
    "credits_of",
    "explore",
    "figures",
    "format_accuracy",
    "holm",
    "macro_f1",
    "mcnemar",
]
