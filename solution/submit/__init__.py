"""From probabilities to the CSV that is handed in: write, check, score, mix, remember."""

from solution.submit.ablation import ablate
from solution.submit.ensemble import EnsembleOptions, ensemble
from solution.submit.history import history
from solution.submit.predict import predict
from solution.submit.run import submit_run
from solution.submit.score import score
from solution.submit.shakeup import right_answers, shakeup
from solution.submit.validate import validate
from solution.submit.write import write_submission

__all__ = [
    "EnsembleOptions",
    "ablate",
    "ensemble",
    "history",
    "predict",
    "right_answers",
    "score",
    "shakeup",
    "submit_run",
    "validate",
    "write_submission",
]
