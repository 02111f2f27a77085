"""From a suite of candidates to a leaderboard: scored one by one, compared honestly."""

from solution.explore.baselines import baselines
from solution.explore.command import explore
from solution.explore.key import Key, credits_of, figures
from solution.explore.statistics import (
    clustered_error,
    clustered_interval,
    holm,
    macro_f1,
    mcnemar,
)

__all__ = [
    "Key",
    "baselines",
    "clustered_error",
    "clustered_interval",
    "credits_of",
    "explore",
    "figures",
    "holm",
    "macro_f1",
    "mcnemar",
]
