"""From probabilities to the CSV that is handed in: write, check, score."""

from solution.submit.ablation import ablate
from solution.submit.predict import predict
from solution.submit.run import submit_run
from solution.submit.score import score
from solution.submit.validate import validate
from solution.submit.write import write_submission

__all__ = ["ablate", "predict", "score", "submit_run", "validate", "write_submission"]
