"""From questions and a model to the probability of every choice."""

from solution.scoring.answer import answer_questions, cost
from solution.scoring.cache import ScoreCache
from solution.scoring.encode import Encoded, encode
from solution.scoring.engine import Scored, log_likelihoods, score, score_ids
from solution.scoring.generate import Asked, Generation, Written, generate
from solution.scoring.harness_command import run_harness
from solution.scoring.orders import Debias, Orders, orders_fault, plan_orders
from solution.scoring.parse import Reading, read_answer
from solution.scoring.passes import Work
from solution.scoring.predictions import read_predictions, write_predictions
from solution.scoring.votes import voted

__all__ = [
    "Asked",
    "Debias",
    "Encoded",
    "Generation",
    "Orders",
    "Reading",
    "ScoreCache",
    "Scored",
    "Work",
    "Written",
    "answer_questions",
    "cost",
    "encode",
    "generate",
    "log_likelihoods",
    "orders_fault",
    "plan_orders",
    "read_answer",
    "read_predictions",
    "run_harness",
    "score",
    "score_ids",
    "voted",
    "write_predictions",
]
