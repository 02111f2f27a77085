"""The question, one item of an exam, and the exam, the questions of one file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Question:
    """One multiple-choice question; `answer` counts from 1, None where it is unknown."""

    id: str
    paragraph: str
    question: str
    choices: tuple[str, ...]
    answer: int | None = None
    question_plus: str = ""
    subject: str = ""
    source: str = ""


@dataclass(frozen=True)
class SubmissionFormat:
    """How answers to an exam are written."""

    columns: tuple[str, str] = ("id", "answer")
    letters: bool = False
    """A, B, C … instead of 1, 2, 3 …"""
    ranks: int = 1
    """Choices per answer, the most probable first, separated by blanks."""
    sample: Path | None = None
    """The sample submission that this was read from."""


@dataclass(frozen=True)
class Exam:
    """The questions of one file in its order, and the file's SHA-256."""

    path: Path
    questions: tuple[Question, ...]
    sha256: str
    submission: SubmissionFormat = SubmissionFormat()

    def __len__(self) -> int:
        return len(self.questions)
