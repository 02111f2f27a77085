"""The exams of a suite: local files or question sets of the hub, without what is excluded."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from solution.core import UserError, log, resolve_path
from solution.exam import Question, near_duplicate_groups, public_private_split, read_exam
from solution.explore.metrics import ExamKey, exam_key, read_exam_key
from solution.explore.suite import ExamEntry, Suite

LETTERS = "ABCD"
# Choices of at least this many letters together rarely occur in two questions by chance.
DISTINCTIVE_LETTERS = 24
# Question sets on the hub: repository, split, configurations (all of them if empty).
HUB: dict[str, tuple[str, str, list[str]]] = {
    "kmmlu": ("HAERAE-HUB/KMMLU", "test", []),
    "click": ("EunsuKim/CLIcK", "train", ["default"]),
    "mmmlu_ko": ("openai/MMMLU", "test", ["KO_KR"]),
}
Doc = Mapping[str, Any]


def read_exams(suite: Suite, exam: Path | None, solution: Path | None) -> dict[str, ExamKey]:
    """Read the exams of a suite by name; `exam` replaces all of them.

    Raises UserError where a file is missing or invalid, or no question is left.
    """
    exclusions = read_exclusions([resolve_path(file) for file in suite.exclude])
    if exam is not None:
        key = read_exam_key(exam, solution, suite.seed)
        return {exam.stem: _without_excluded(key, exclusions, suite.limit)}
    if solution is not None and len(suite.exams) > 1:
        raise UserError(f"--solution {solution}: the suite has several exams; give --exam too.")
    found: dict[str, ExamKey] = {}
    missing: list[str] = []
    for entry in suite.exams:
        paths = _paths(suite, entry)
        local = suite.data is not None or entry.hub is None
        if suite.skip_missing and local and not any(path.is_file() for path in paths):
            missing.append(str(paths[0]))
            continue
        key = _read_entry(suite, entry, paths, solution)
        found[entry.name] = _without_excluded(key, exclusions, suite.limit)
    if missing and not found and not suite.tasks:
        raise UserError(f"not found: {', '.join(missing)}. Set the folder with --data DIR.")
    for path in missing:
        log(f"{path} not found: its column is left out")
    return found


def _paths(suite: Suite, entry: ExamEntry) -> list[Path]:
    """Return the files of an exam: several where its name has a `*`."""
    if suite.data is None:
        return [resolve_path(entry.exam)]
    folder = resolve_path(suite.data)
    return sorted(folder.glob(entry.exam)) or [folder / entry.exam]


def _read_entry(
    suite: Suite, entry: ExamEntry, paths: Sequence[Path], solution: Path | None
) -> ExamKey:
    if entry.hub and suite.data is None:
        questions = _from_hub(entry.hub)
        usage = public_private_split([question.id for question in questions], suite.seed)
        return exam_key(Path(entry.name), questions, usage)
    if len(paths) == 1:
        own = solution or (resolve_path(entry.solution) if entry.solution else None)
        return read_exam_key(paths[0], own, suite.seed, entry.columns)
    exams = [read_exam(path, answers=True, columns=entry.columns) for path in paths]
    questions = [question for exam in exams for question in exam.questions]
    usage = public_private_split([question.id for question in questions], suite.seed)
    return exam_key(Path(entry.exam), questions, usage)


def _from_hub(name: str) -> list[Question]:
    from datasets import get_dataset_config_names, load_dataset

    repository, split, configs = HUB[name]
    try:
        names = configs or get_dataset_config_names(repository)
        docs = [doc for part in names for doc in load_dataset(repository, part, split=split)]
    except (OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(
            f"{name}: cannot be loaded from the hub ({type(error).__name__}: {reason}). "
            "Go online, or give its file with --data DIR."
        ) from error
    return [hub_question(name, doc, f"{name}-{number}") for number, doc in enumerate(docs)]


def hub_question(name: str, doc: Doc, id: str) -> Question:
    """Return a row of one of the hub's question sets as a question."""
    if name == "click":  # the answer is the text of the choice
        choices = tuple(str(choice) for choice in doc["choices"])
        answer = 1 + choices.index(doc["answer"])
        return Question(
            id, doc.get("paragraph") or "", doc["question"].strip(), choices, answer
        )
    choices = tuple(str(doc[letter]) for letter in LETTERS)
    if name == "kmmlu":
        answer, text, subject = int(doc["answer"]), doc["question"], doc["Category"]
    else:
        answer, text, subject = (
            1 + LETTERS.index(doc["Answer"]),
            doc["Question"],
            doc["Subject"],
        )
    return Question(id, "", text.strip(), choices, answer, subject=str(subject))


@dataclass(frozen=True)
class ExclusionList:
    """What is not scored: ids, and training questions by their choices (see `_choices`)."""

    ids: frozenset[str] = frozenset()
    questions: Mapping[str, Sequence[Question]] = field(default_factory=dict)

    def excludes(self, question: Question) -> bool:
        """Whether its id is listed, or a training question is the same whatever its id.

        The same: equal choices in any order, which are distinctive, or the question of one
        within the text of the other (sets put a passage into the question or before it).
        """
        if question.id in self.ids:
            return True
        own = _choices(question)
        return any(
            len(own) >= DISTINCTIVE_LETTERS or _contains(question, other)
            for other in self.questions.get(own, ())
        )


def read_exclusions(files: Sequence[Path]) -> ExclusionList:
    """Read files of exclusions: ids, or training files whose questions are excluded.

    A CSV with a column `problems` is a training file; any other text file lists an id per line
    (in a CSV, its first column). Raises UserError where a file cannot be read.
    """
    ids: set[str] = set()
    questions: dict[str, list[Question]] = defaultdict(list)
    for file in files:
        try:
            lines = file.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"exclude {file}: cannot be read as text ({error}).") from error
        if lines and "problems" in lines[0].split(","):
            for question in read_exam(file).questions:
                questions[_choices(question)].append(question)
        else:
            ids |= {line.split(",")[0].strip().strip('"') for line in lines} - {"", "id"}
    return ExclusionList(frozenset(ids), questions)


def _without_excluded(key: ExamKey, exclusions: ExclusionList, limit: int | None) -> ExamKey:
    excluded = [exclusions.excludes(question) for question in key.questions]
    kept = [i for i, out in enumerate(excluded) if not out][:limit]
    if not kept:
        raise UserError(f"{key.exam}: no questions left after exclusions; check `exclude`.")
    questions = tuple(key.questions[i] for i in kept)
    return replace(
        key,
        questions=questions,
        answers=[key.answers[i] for i in kept],
        usage=[key.usage[i] for i in kept],
        groups=near_duplicate_groups(questions) if len(kept) < len(key.groups) else key.groups,
        excluded=sum(excluded),
    )


def _contains(one: Question, other: Question) -> bool:
    text, asked = _plain(one.paragraph + one.question), _plain(one.question)
    return _plain(other.question) in text or asked in _plain(other.paragraph + other.question)


def _choices(question: Question) -> str:
    return " ".join(sorted(map(_plain, question.choices)))


def _plain(text: str) -> str:
    """Letters and digits only: two sets rarely space and punctuate a question alike."""
    return re.sub(r"[\W_]", "", unicodedata.normalize("NFKC", text)).casefold()
