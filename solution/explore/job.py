"""The job: all that a worker needs to score one candidate, and what decides its predictions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from solution import __version__
from solution.core import fingerprint
from solution.exam import Prompt, Question
from solution.models import ModelReference, weights_fingerprint
from solution.scoring import Debias, GenerationConfig

PREDICTIONS = "predictions.parquet"


class Logged(Protocol):
    """What every job of a worker has: a name, files for its log, and itself as one line."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def log(self) -> Path: ...  # noqa: D102
    @property
    def failed_log(self) -> Path: ...  # noqa: D102
    def to_json(self) -> str: ...  # noqa: D102


@dataclass(frozen=True)
class Job:
    """One candidate to be scored on `questions`; the finished run goes to `place`."""

    name: str
    place: Path
    reference: ModelReference
    prompt: Prompt
    questions: tuple[Question, ...]
    batch_tokens: int
    permutations: int = 1
    debias: Debias = "none"
    generation: GenerationConfig | None = None

    @property
    def log(self) -> Path:
        """Where the attempts are logged until the run is finished and takes the file in."""
        return self.place.with_name(f".{self.place.name}.log")

    @property
    def failed_log(self) -> Path:
        """Where the log of a failed attempt is left for the user."""
        return self.place.with_name(f"{self.place.name}.failed.log")

    def inputs(self) -> dict[str, Any]:
        """All that decides the predictions; equal inputs make one run.

        The key is not among them (a corrected answer needs no new scoring), nor the batch size.
        Raises UserError where the model is not there.
        """
        asked = [asdict(question) for question in self.questions]
        return {
            "version": __version__,
            "model": self.reference.model_dump(),
            "weights": weights_fingerprint(self.reference),
            "prompt": self.prompt.model_dump(mode="json"),
            **self._manner(),
            "questions": {"number": len(asked), "sha256": fingerprint(asked)},
        }

    def to_json(self) -> str:
        """One line of text for the worker's standard input."""
        value = {
            "name": self.name,
            "place": str(self.place),
            "reference": self.reference.model_dump(),
            "prompt": self.prompt.model_dump(mode="json"),
            "questions": [asdict(question) for question in self.questions],
            "batch_tokens": self.batch_tokens,
            **self._manner(),
        }
        return json.dumps(value)

    def _manner(self) -> dict[str, Any]:
        """How the questions are put."""
        how = self.generation.model_dump() if self.generation else None
        return {"permutations": self.permutations, "debias": self.debias, "generation": how}

    @staticmethod
    def from_json(text: str) -> Job:
        """The job that `to_json` wrote."""
        value = json.loads(text)
        how = value["generation"]
        rows = [{**row, "choices": tuple(row["choices"])} for row in value["questions"]]
        return Job(
            name=value["name"],
            place=Path(value["place"]),
            reference=ModelReference(**value["reference"]),
            prompt=Prompt.model_validate(value["prompt"]),
            questions=tuple(Question(**row) for row in rows),
            batch_tokens=value["batch_tokens"],
            permutations=value["permutations"],
            debias=value["debias"],
            generation=GenerationConfig(**how) if how else None,
        )


def without_answers(questions: Sequence[Question]) -> tuple[Question, ...]:
    """The questions as a candidate sees them: no answers, and none of what we know besides."""
    return tuple(replace(q, answer=None, subject="", source="") for q in questions)
