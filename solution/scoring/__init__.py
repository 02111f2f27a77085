"""From questions and a model to the probability of every choice."""

from solution.scoring.answer import answer_questions, cost
from solution.scoring.apart import keeps_apart, packed_arguments, side_by_side
from solution.scoring.average import How, average
from solution.scoring.benchmarks import Benchmark, Family, Given, Rule, ask, rows_mark
from solution.scoring.cache import ScoreCache
from solution.scoring.encode import Encoded, encode
from solution.scoring.engine import Scored, log_likelihoods, score, score_ids
from solution.scoring.harness_command import run_harness
from solution.scoring.orders import Debias, Orders, orders_fault, plan_orders
from solution.scoring.passes import Work
from solution.scoring.predictions import read_predictions, read_produced_by, write_predictions
from solution.scoring.trained import Trained, as_trained, trained, trained_rows, write_trained

__all__ = [
    "Benchmark",
    "Debias",
    "Encoded",
    "Family",
    "Given",
    "How",
    "Orders",
    "Rule",
    "ScoreCache",
    "Scored",
    "Trained",
    "Work",
    "answer_questions",
    "as_trained",
    "ask",
    "average",
    "cost",
    "encode",
    "keeps_apart",
    "log_likelihoods",
    "orders_fault",
    "packed_arguments",
    "plan_orders",
    "read_predictions",
    "read_produced_by",
    "rows_mark",
    "run_harness",
    "score",
    "score_ids",
    "side_by_side",
    "trained",
    "trained_rows",
    "write_predictions",
    "write_trained",
]
