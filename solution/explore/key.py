"""The key: an exam with its answers, halves and passages, and what guesses earn by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from solution.core import ErrorCollector, UserError
from solution.exam import (
    Question,
    near_duplicate_groups,
    public_private_split,
    read_answer_key,
    read_exam,
    with_answers,
)
from solution.explore.statistics import clustered_interval, macro_f1, mean

LAYOUT = "id,paragraph,problems,question_plus"


@dataclass(frozen=True)
class Key:
    """An exam whose every question has its answer; one entry a question in all four lists."""

    exam: Path
    questions: tuple[Question, ...]
    answers: list[int]
    usage: list[str]
    groups: list[int]

    @property
    def subjects(self) -> list[str]:
        """The subjects in the order in which the exam brings them; none where it names none."""
        return list(dict.fromkeys(q.subject for q in self.questions if q.subject))


def read_key(exam: Path, solution: Path | None, seed: int) -> Key:
    """Read an exam and its answers: from `solution` where given, else from the exam itself.

    Public and private halves come from the solution's Usage, else are drawn from `seed`.
    Raises UserError where a file is absent or faulty or an answer is missing.
    """
    _check_there(exam, f"the exam CSV there (columns {LAYOUT}), or name yours with --exam FILE")
    read = read_exam(exam)
    if solution is None:
        usage = public_private_split([question.id for question in read.questions], seed)
    else:
        _check_there(
            solution,
            f"the key to {exam} there (columns id,answer,Usage), or name yours with "
            "--solution FILE, or an exam that holds its own answers with --exam FILE",
        )
        key = read_answer_key(solution)
        read, usage = with_answers(read, key), key.usage
    return Key(
        exam=exam,
        questions=read.questions,
        answers=_answers(exam, read.questions),
        usage=[usage[question.id] for question in read.questions],
        groups=near_duplicate_groups(read.questions),
    )


def figures(key: Key, guesses: Sequence[Sequence[int]]) -> dict[str, float]:
    """What guesses earn: accuracy with its interval, by half and by subject, and macro-F1.

    A guess is the choices (from 1) that one question is torn between: one of them for a model.
    A half without questions has no figure.
    """
    credits = credits_of(key, guesses)
    low, high = clustered_interval(credits, key.groups)
    parts = {"public": _mean_of(credits, key.usage, "Public")}
    parts["private"] = _mean_of(credits, key.usage, "Private")
    subjects = [question.subject for question in key.questions]
    for subject in key.subjects:
        parts[f"accuracy_{subject}"] = _mean_of(credits, subjects, subject)
    return {
        "accuracy": mean(credits),
        "ci_low": low,
        "ci_high": high,
        "macro_f1": macro_f1(key.answers, guesses),
        **{name: value for name, value in parts.items() if value is not None},
    }


def credits_of(key: Key, guesses: Sequence[Sequence[int]]) -> list[float]:
    """One number in 0..1 a question: the chance that its guess is right."""
    return [
        (answer in guess) / len(guess)
        for answer, guess in zip(key.answers, guesses, strict=True)
    ]


def _mean_of(credits: Sequence[float], labels: Sequence[str], label: str) -> float | None:
    own = [credit for credit, of in zip(credits, labels, strict=True) if of == label]
    return mean(own) if own else None


def _check_there(path: Path, remedy: str) -> None:
    if not path.is_file():
        raise UserError(f"{path}: not there. Put {remedy}.")


def _answers(exam: Path, questions: Sequence[Question]) -> list[int]:
    problems = ErrorCollector(str(exam))
    for question in questions:
        if question.answer is None:
            problems.add(f"{question.id}: no answer")
    problems.raise_if_any(
        "Without answers nothing can be ranked: give the key as --solution FILE."
    )
    return [question.answer for question in questions if question.answer is not None]
