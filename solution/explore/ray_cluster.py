"""Joining a Ray cluster; Ray is imported only where it is asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from solution.core import PROJECT, UserError

RETRIES = 3


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Join the cluster at `address` ("auto" finds the running one, "local" makes one here).

    Raises UserError where Ray is not installed or nothing answers there.
    """
    # Ray gives a node of its own 30 s to start, which a busy machine may miss.
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "120")
    try:
        import ray
    except ImportError as error:
        raise UserError("--ray: Ray is not installed here: pip install ray.") from error
    variables = {"PYTHONPATH": str(PROJECT), "PYTHONSAFEPATH": "1"}
    # A cluster's workers know nothing of our shell, which may say where models come from.
    variables |= {name: value for name, value in os.environ.items() if name.startswith("HF_")}
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report to its makers
    try:
        ray.init(
            address=address,
            runtime_env={"env_vars": variables},
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
        )
    except Exception as error:  # Ray raises that itself where a node does not start
        raise UserError(f"--ray {address}: no Ray cluster answers there: {error}") from error
    try:
        yield
    finally:
        ray.shutdown()
