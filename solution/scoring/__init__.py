"""From questions and a model to the probability of every choice."""

from solution.scoring.answer import answer_questions, cost
from solution.scoring.benchmarks import Benchmark, Family, Given, Rule, ask, rows_mark
from solution.scoring.cache import ScoreCache
from solution.scoring.encode import Encoded, encode
from solution.scoring.engine import Scored, log_likelihoods, score, score_ids
from solution.scoring.harness_command import run_harness
from solution.scoring.passes import Work
from solution.scoring.predictions import read_predictions, write_predictions

__all__ = [
    "Benchmark",
    "Encoded",
    "Family",
    "Given",
    "Rule",
    "ScoreCache",
    "Scored",
    "Work",
    "answer_questions",
    "ask",
    "cost",
    "encode",
    "log_likelihoods",
    "read_predictions",
    "rows_mark",
    "run_harness",
    "score",
    "score_ids",
    "write_predictions",
]
