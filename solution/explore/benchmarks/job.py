"""The job: what a worker asks one candidate, cell by cell, and where each cell's run goes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from solution import __version__
from solution.models import ModelReference, weights_fingerprint
from solution.scoring import Benchmark

PREDICTIONS, KEY = "predictions.parquet", "key.json"


@dataclass(frozen=True)
class BenchmarkJob:
    """One candidate and the benchmarks it is asked; their finished runs go to `place`/cell."""

    name: str
    place: Path
    reference: ModelReference
    benchmarks: tuple[Benchmark, ...]
    batch_tokens: int

    @property
    def log(self) -> Path:
        """Where the attempts are logged."""
        return self.place / "log.txt"

    @property
    def failed_log(self) -> Path:
        """Where the log of a failed attempt is left for the user."""
        return self.place / "failed.log"

    def cell(self, benchmark: Benchmark) -> Path:
        """The run folder of one benchmark; families and ways to draw shots never share one."""
        drawn = ".fast" if benchmark.fixed else ""
        part = f".first{benchmark.limit}" if benchmark.limit else ""
        name = f"{benchmark.task}.{benchmark.family}.{benchmark.shots}shot{drawn}{part}"
        return self.place / name

    def made_by(self) -> dict[str, Any]:
        """What makes the candidate another one; raises UserError where it is not there."""
        return {
            "version": __version__,
            "model": self.reference.model_dump(),
            "weights": weights_fingerprint(self.reference),
        }

    def inputs(self, benchmark: Benchmark, made_by: dict[str, Any]) -> dict[str, Any]:
        """All that decides a cell's predictions; equal inputs make one run."""
        return {**made_by, "benchmark": benchmark.inputs()}

    def to_json(self) -> str:
        """One line of text for the worker's standard input."""
        value = {
            "name": self.name,
            "place": str(self.place),
            "reference": self.reference.model_dump(),
            "benchmarks": [one.model_dump(mode="json") for one in self.benchmarks],
            "batch_tokens": self.batch_tokens,
        }
        return json.dumps(value)

    @staticmethod
    def from_json(text: str) -> BenchmarkJob:
        """The job that `to_json` wrote."""
        value = json.loads(text)
        return BenchmarkJob(
            name=value["name"],
            place=Path(value["place"]),
            reference=ModelReference(**value["reference"]),
            benchmarks=tuple(Benchmark(**one) for one in value["benchmarks"]),
            batch_tokens=value["batch_tokens"],
        )
