"""From questions and a model to the probability of every choice."""

from solution.scoring.answer import answer_questions, cost
from solution.scoring.apart import keeps_apart, packed_arguments, side_by_side
from solution.scoring.cache import ScoreCache
from solution.scoring.encode import Encoded, encode
from solution.scoring.engine import Scored, log_likelihoods, score, score_ids
from solution.scoring.harness_command import run_harness
from solution.scoring.passes import Work
from solution.scoring.predictions import read_predictions, write_predictions

__all__ = [
    "Encoded",
    "ScoreCache",
    "Scored",
    "Work",
    "answer_questions",
    "cost",
    "encode",
    "keeps_apart",
    "log_likelihoods",
    "packed_arguments",
    "read_predictions",
    "run_harness",
    "score",
    "score_ids",
    "side_by_side",
    "write_predictions",
]
