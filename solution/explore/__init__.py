"""From a suite of candidates to a leaderboard: scored one by one, compared honestly."""

from solution.explore.command import explore
from solution.explore.statistics import (
    clustered_error,
    clustered_interval,
    holm,
    macro_f1,
    mcnemar,
)

__all__ = ["clustered_error", "clustered_interval", "explore", "holm", "macro_f1", "mcnemar"]
