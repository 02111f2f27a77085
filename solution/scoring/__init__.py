"""From questions and a model to the probability of every choice."""

from solution.scoring.apart import keeps_apart, packed_arguments, side_by_side
from solution.scoring.benchmarks import Benchmark, Family, Given, Rule, ask, rows_mark
from solution.scoring.combine import average_predictions
from solution.scoring.encode import Encoded, encode
from solution.scoring.evaluate import evaluate, peak_memory_gib, token_metrics
from solution.scoring.generate import (
    Completion,
    GenerationConfig,
    GenerationRequest,
    generate,
    majority_vote,
)
from solution.scoring.harness_command import run_harness
from solution.scoring.parse_answer import ParsedAnswer, read_answer
from solution.scoring.position_bias import Debias, Orders, orders_fault, plan_orders
from solution.scoring.predictions import read_predictions, read_produced_by, write_predictions
from solution.scoring.requests import TokenCounts
from solution.scoring.score_cache import ScoreCache
from solution.scoring.scorer import (
    ChoiceScores,
    check_finite,
    log_likelihoods,
    normalise,
    open_score_cache,
    score,
    score_model,
    truncate_left,
)
from solution.scoring.training_provenance import (
    TrainedQuestion,
    as_trained,
    trained,
    trained_rows,
    write_trained,
)

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
    "Orders",
    "ParsedAnswer",
    "Rule",
    "ScoreCache",
    "TokenCounts",
    "TrainedQuestion",
    "as_trained",
    "ask",
    "average_predictions",
    "check_finite",
    "encode",
    "evaluate",
    "generate",
    "keeps_apart",
    "log_likelihoods",
    "majority_vote",
    "normalise",
    "open_score_cache",
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
    "token_metrics",
    "trained",
    "trained_rows",
    "truncate_left",
    "write_predictions",
    "write_trained",
]
