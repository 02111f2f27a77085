"""The harness's own command line, with our engine among its models."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def run_harness(arguments: Sequence[str]) -> None:
    """Run lm-evaluation-harness with these arguments; `exam-qa` is one of its models.

    Ends the process as the harness does where it refuses the arguments.
    """
    from lm_eval.__main__ import cli_evaluate

    import solution.scoring.harness  # noqa: F401  (importing it registers the model)

    sys.argv = ["lm_eval", *arguments]
    cli_evaluate()
