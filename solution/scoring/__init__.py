"""From questions and a model to the probability of every choice."""

from solution.scoring.answer import answer_questions, cost
from solution.scoring.apart import keeps_apart, packed_arguments, side_by_side
from solution.scoring.average import How, average
from solution.scoring.benchmarks import Benchmark, Family, Given, Rule, ask, rows_mark
from solution.scoring.cache import ScoreCache
from solution.scoring.encode import Encoded, encode
from solution.scoring.engine import Scored, log_likelihoods, score, score_ids
from solution.scoring.generate import Asked, Generation, Written, generate
from solution.scoring.harness_command import run_harness
from solution.scoring.orders import Debias, Orders, orders_fault, plan_orders
from solution.scoring.parse import Reading, read_answer
from solution.scoring.passes import Work
from solution.scoring.predictions import read_predictions, read_produced_by, write_predictions
from solution.scoring.trained import Trained, as_trained, trained, trained_rows, write_trained
from solution.scoring.votes import voted

__all__ = [
    "Asked",
    "Benchmark",
    "Debias",
    "Encoded",
    "Family",
    "Generation",
    "Given",
    "How",
    "Orders",
    "Reading",
    "Rule",
    "ScoreCache",
    "Scored",
    "Trained",
    "Work",
    "Written",
    "answer_questions",
    "as_trained",
    "ask",
    "average",
    "cost",
    "encode",
    "generate",
    "keeps_apart",
    "log_likelihoods",
    "orders_fault",
    "packed_arguments",
    "plan_orders",
    "read_answer",
    "read_predictions",
    "read_produced_by",
    "rows_mark",
    "run_harness",
    "score",
    "score_ids",
    "side_by_side",
    "trained",
    "trained_rows",
    "voted",
    "write_predictions",
    "write_trained",
]
