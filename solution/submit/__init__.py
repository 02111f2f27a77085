"""Submissions: predict, write, check, score, combine and log."""

from solution.submit.contamination import validate
from solution.submit.ensemble import EnsembleOptions, ensemble
from solution.submit.log import history, record_submission
from solution.submit.predict import predict, submit_run
from solution.submit.score import correct_count, score, shakeup
from solution.submit.show_prompt import show_prompt
from solution.submit.write import write_submission

__all__ = [
    "EnsembleOptions",
    "correct_count",
    "ensemble",
    "history",
    "predict",
    "record_submission",
    "score",
    "shakeup",
    "show_prompt",
    "submit_run",
    "validate",
    "write_submission",
]
