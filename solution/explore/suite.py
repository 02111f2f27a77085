"""The suite: one YAML file that lists candidates and the exams to score them on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from solution.core import Config, load_config, resolve_config
from solution.kowiki import RetrievalConfig
from solution.models import ModelReference
from solution.scoring import Debias, GenerationConfig, orders_fault

TWIN = "-with-passages"
# Names become folders: no hidden ones, none that climbs out, none that a file of ours may have.
_NAME = re.compile(r"(?:[\w-][\w.-]*/)*[\w-][\w.-]*")
_OURS = "harness"  # the folder of results in lm-evaluation-harness's layout
_TAKEN = (".csv", ".md", ".log", ".work", ".old", ".partial")


def _check_name(name: str) -> str:
    if not _NAME.fullmatch(name) or name.startswith("-") or name.lower().endswith(_TAKEN):
        raise ValueError(
            "a name may hold letters, digits and . _ - / only, no part may begin with a dot, "
            f"and it may not end in {', '.join(_TAKEN)}"
        )
    if name.lower() == _OURS:
        raise ValueError(f"{_OURS} is the folder of our own results; take another name")
    return name


Name = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_check_name)]


def folder_name(name: str) -> str:
    """The folder of a suite, exam or candidate of this name."""
    return name.replace("/", "__")


class Published(Config):
    """What others measured, shown beside our figures; never mixed with them."""

    public: float = Field(ge=0, le=1)
    private: float = Field(ge=0, le=1)
    source: str


class Entrant(ModelReference):
    """One model to be scored: where it is and how to load it."""

    name: Name

    @property
    def reference(self) -> ModelReference:
        """The model alone, without what the suite says about it."""
        return ModelReference(**self.model_dump(include=set(ModelReference.model_fields)))


class Candidate(Entrant):
    """A model for exams, with its own prompt if need be.

    `scorer: generate` reads the answer in a text that the model writes (`generation` says how)
    instead of comparing the probabilities of the choices.
    """

    prompt: str | None = None
    licence: str = ""
    """What the model's page says of its terms; shown, never judged."""
    retrieve: RetrievalConfig | None = None
    """Which questions this candidate sees with a wiki's passages."""
    published: Published | None = None
    scorer: Literal["probability", "generate"] = "probability"
    generation: GenerationConfig | None = None

    @model_validator(mode="after")
    def _generation_is_used(self) -> Candidate:
        if self.generation and self.scorer != "generate":
            raise ValueError("generation: has no use without scorer: generate")
        return self

    @property
    def writes(self) -> GenerationConfig | None:
        """How it writes its answers; None where it does not."""
        return (self.generation or GenerationConfig()) if self.scorer == "generate" else None


class ExamEntry(Config):
    """One exam: its questions and, where they come without answers, the file with the key."""

    name: Name
    exam: str
    solution: str | None = None


class Suite(Config):
    """Candidates and exams to score."""

    name: Name
    description: str = ""
    prompt: str = "contest"
    batch_tokens: int = Field(default=16384, ge=1)
    permutations: int = 1
    """Orders of the choices that every question is asked in; the mean probability counts."""
    debias: Debias = "none"
    """`pride` takes out what a model likes of a place, whatever stands there."""
    seed: int = 0
    """Draws the public and private halves where the key does not name them."""
    retrieve: RetrievalConfig | None = None
    """Score every candidate a second time with a wiki's passages, as `<name>-with-passages`."""
    exams: list[ExamEntry] = Field(min_length=1)
    candidates: list[Candidate] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_remedy(self) -> Suite:
        if fault := orders_fault(self.permutations, self.debias):
            raise ValueError(fault)
        writing = [one.name for one in self.candidates if one.writes]
        if writing and (self.permutations > 1 or self.debias != "none"):
            raise ValueError(
                f"{', '.join(writing)}: scorer generate answers in the row's own order; leave "
                "permutations and debias out, or give it a suite of its own"
            )
        return self

    @model_validator(mode="after")
    def _names_differ(self) -> Suite:
        check_names("exams", [entry.name for entry in self.exams])
        check_names("candidates", [candidate.name for candidate in self.candidates])
        return self


def check_names(kind: str, names: Sequence[str]) -> None:
    """Raise ValueError where two names would share one folder."""
    seen: dict[str, str] = {}
    for name in names:
        folder = folder_name(name).casefold()  # some file systems take A and a for one name
        if folder in seen:
            raise ValueError(
                f"{kind}: {seen[folder]!r} and {name!r} would share one folder; "
                "give each a name of its own"
            )
        seen[folder] = name


def load_suite(name: str, overrides: Sequence[str] = ()) -> Suite:
    """Read a suite by its short name or from a YAML file, with `key=value` overrides.

    Raises UserError naming the file, the key and what was expected.
    """
    suite = load_config(resolve_config("suites", name), Suite, overrides)
    if suite.retrieve is None:
        return suite
    twins = [
        candidate.model_copy(
            update={"name": f"{candidate.name}{TWIN}", "retrieve": suite.retrieve}
        )
        for candidate in suite.candidates
    ]
    both = [one for pair in zip(suite.candidates, twins, strict=True) for one in pair]
    return suite.model_copy(update={"candidates": both, "retrieve": None})
