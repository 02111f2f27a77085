"""From questions and a model to the probability of every choice."""

from solution.scoring.apart import keeps_apart, packed_arguments, side_by_side
from solution.scoring.average import How, average
from solution.scoring.benchmarks import Benchmark, Family, Given, Rule, ask, rows_mark
from solution.scoring.cache import ScoreCache
from solution.scoring.encode import Encoded, encode
from solution.scoring.engine import ChoiceScores, log_likelihoods, score, score_model
from solution.scoring.evaluate import cost, evaluate, peak_memory_gib
from solution.scoring.generate import Completion, GenerationConfig, GenerationRequest, generate
from solution.scoring.harness_command import run_harness
from solution.scoring.orders import Debias, Orders, orders_fault, plan_orders
from solution.scoring.parse import ParsedAnswer, read_answer
from solution.scoring.passes import TokenCounts
from solution.scoring.predictions import read_predictions, read_produced_by, write_predictions
from solution.scoring.trained import (
    TrainedQuestion,
    as_trained,
    trained,
    trained_rows,
    write_trained,
)
from solution.scoring.votes import majority_vote

__all__ = [
    "Benchmark",
    "ChoiceScores",
    "Completion",
    "Debias",
    "Encoded",
    "Family",
    "GenerationConfig",
    "GenerationRequest",
    "Given",
    "How",
    "Orders",
    "ParsedAnswer",
    "Rule",
    "ScoreCache",
    "TokenCounts",
    "TrainedQuestion",
    "as_trained",
    "ask",
    "average",
    "cost",
    "encode",
    "evaluate",
    "generate",
    "keeps_apart",
    "log_likelihoods",
    "majority_vote",
    "orders_fault",
    "packed_arguments",
    "peak_memory_gib",
    "plan_orders",
    "read_answer",
    "read_predictions",
    "read_produced_by",
    "rows_mark",
    "run_harness",
    "score",
    "score_model",
    "side_by_side",
    "trained",
    "trained_rows",
    "write_predictions",
    "write_trained",
]
