"""From questions and a model to the probability of every choice."""

from solution.scoring.combine import average_predictions
from solution.scoring.encode import Encoded, encode
from solution.scoring.evaluate import (
    EXPECTED_MASS,
    evaluate,
    peak_memory_gib,
    token_metrics,
)
from solution.scoring.generate import (
    Completion,
    GenerationConfig,
    GenerationRequest,
    generate,
    majority_vote,
)
from solution.scoring.lm_head import causal_of
from solution.scoring.parse_answer import ParsedAnswer, read_answer
from solution.scoring.position_bias import Debias, Orders, orders_fault, plan_orders
from solution.scoring.predictions import read_predictions, read_produced_by, write_predictions
from solution.scoring.requests import TokenCounts
from solution.scoring.score_cache import ScoreCache, open_score_cache
from solution.scoring.scorer import (
    ChoiceScores,
    check_finite,
    log_likelihoods,
    normalise,
    score,
    score_model,
    truncate_left,
)
from solution.scoring.tasks import (
    BenchmarkResult,
    BenchmarkTask,
    PromptFamily,
    evaluate_benchmark,
    load_tasks,
    run_harness,
)
from solution.scoring.training_provenance import (
    TrainedQuestion,
    as_trained,
    trained,
    trained_rows,
    write_trained,
)
from solution.scoring.tree_attention import use_tree_attention
from solution.scoring.tree_batch import AttentionBlock, TreeBatch

__all__ = [
    "AttentionBlock",
    "BenchmarkResult",
    "BenchmarkTask",
    "ChoiceScores",
    "Completion",
    "Debias",
    "Encoded",
    "GenerationConfig",
    "GenerationRequest",
    "Orders",
    "ParsedAnswer",
    "PromptFamily",
    "ScoreCache",
    "TokenCounts",
    "TrainedQuestion",
    "TreeBatch",
    "as_trained",
    "average_predictions",
    "causal_of",
    "check_finite",
    "encode",
    "evaluate",
    "evaluate_benchmark",
    "generate",
    "load_tasks",
    "log_likelihoods",
    "majority_vote",
    "normalise",
    "open_score_cache",
    "orders_fault",
    "peak_memory_gib",
    "plan_orders",
    "read_answer",
    "read_predictions",
    "read_produced_by",
    "run_harness",
    "score",
    "score_model",
    "token_metrics",
    "trained",
    "trained_rows",
    "truncate_left",
    "use_tree_attention",
    "write_predictions",
    "write_trained",
]
