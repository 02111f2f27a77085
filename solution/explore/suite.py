"""The suite: one YAML file that lists candidates and the exams to score them on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from solution.base import Config, load_config, shipped
from solution.models import ModelReference

# Names become folders: no hidden ones, none that climbs out, none that a file of ours may have.
_NAME = re.compile(r"(?:[\w-][\w.-]*/)*[\w-][\w.-]*")
_TAKEN = (".csv", ".md", ".log", ".work", ".old", ".partial")


def _check_name(name: str) -> str:
    if not _NAME.fullmatch(name) or name.startswith("-") or name.lower().endswith(_TAKEN):
        raise ValueError(
            "a name may hold letters, digits and . _ - / only, no part may begin with a dot, "
            f"and it may not end in {', '.join(_TAKEN)}"
        )
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


class Candidate(ModelReference):
    """One model to be scored: where it is, how to load it, and, if need be, its own prompt."""

    name: Name
    prompt: str | None = None
    licence: str = ""
    """What the model's page says of its terms; shown, never judged."""
    published: Published | None = None

    @property
    def reference(self) -> ModelReference:
        """The model alone, without what the suite says about it."""
        return ModelReference(**self.model_dump(include=set(ModelReference.model_fields)))


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
    seed: int = 0
    """Draws the public and private halves where the key does not name them."""
    exams: list[ExamEntry] = Field(min_length=1)
    candidates: list[Candidate] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_differ(self) -> Suite:
        for kind, entries in (("exams", self.exams), ("candidates", self.candidates)):
            seen: dict[str, str] = {}
            for entry in entries:
                # Some file systems take A and a for one name.
                folder = folder_name(entry.name).casefold()
                if folder in seen:
                    raise ValueError(
                        f"{kind}: {seen[folder]!r} and {entry.name!r} would share one folder; "
                        "give each a name of its own"
                    )
                seen[folder] = entry.name
        return self


def load_suite(name: str, overrides: Sequence[str] = ()) -> Suite:
    """Read a suite by its short name or from a YAML file, with `key=value` overrides.

    Raises UserError naming the file, the key and what was expected.
    """
    return load_config(shipped("suites", name), Suite, overrides)
