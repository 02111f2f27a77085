"""Korean question sets, from the hub or local files, without what a model was trained on."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from solution.core import UserError
from solution.exam import Question, read_exam
from solution.scoring.benchmarks.hub import from_hub

LETTERS = "ABCD"
# Choices of so many letters in all hardly stand in two questions by chance.
TELLING = 24

Doc = dict[str, Any]


def question_set(name: str, file: str | None, data: Path | None) -> list[Question]:
    """The questions of a set, all with answers: `data`/`file`, or the hub's set of this name.

    `file` names one CSV in the contest's layout or, with `*`, several that are joined.
    Raises UserError where the set is neither there nor on the hub, or is faulty.
    """
    if data is not None:
        return _local(name, file, data)
    if name not in HUB:
        raise UserError(f"{name}: not on the hub. Give the folder that holds it: --data DIR.")
    return _from_hub(name)


def local_files(file: str | None, data: Path) -> list[Path]:
    """The files under `data` that a set is read from; none where it is not there."""
    return sorted(data.glob(file)) if file else []


def _local(name: str, file: str | None, data: Path) -> list[Question]:
    paths = local_files(file, data)
    if not paths:
        raise UserError(f"{data / (file or name)}: not there, and {name} reads it.")
    return [question for path in paths for question in read_exam(path, answers=True).questions]


def _from_hub(name: str) -> list[Question]:
    from datasets import get_dataset_config_names, load_dataset

    place, split, parts, convert = HUB[name]
    with from_hub(place):
        names = parts or get_dataset_config_names(place)
        docs = [doc for part in names for doc in load_dataset(place, part, split=split)]
    return [convert(doc, f"{name}-{number}") for number, doc in enumerate(docs)]


def _kmmlu(doc: Doc, id: str) -> Question:
    choices = tuple(str(doc[letter]) for letter in LETTERS)
    question = _question(id, doc["question"], choices, int(doc["answer"]))
    return replace(question, subject=str(doc["Category"]))


def _mmmlu(doc: Doc, id: str) -> Question:
    choices = tuple(str(doc[letter]) for letter in LETTERS)
    answer = 1 + LETTERS.index(doc["Answer"])
    question = _question(id, doc["Question"], choices, answer)
    return replace(question, subject=str(doc["Subject"]))


def _click(doc: Doc, id: str) -> Question:
    """CLIcK's answer is the text of the choice."""
    choices = tuple(str(choice) for choice in doc["choices"])
    answer = 1 + choices.index(doc["answer"])
    question = _question(id, doc["question"], choices, answer)
    return replace(question, paragraph=doc.get("paragraph") or "")


def _question(id: str, text: str, choices: tuple[str, ...], answer: int) -> Question:
    return Question(id, paragraph="", question=text.strip(), choices=choices, answer=answer)


Convert = Callable[[Doc, str], Question]
# Where a set lies on the hub: its name there, the split, its parts (all of them where none
# are named), and what makes a question of a row.
HUB: dict[str, tuple[str, str, list[str], Convert]] = {
    "kmmlu": ("HAERAE-HUB/KMMLU", "test", [], _kmmlu),
    "click": ("EunsuKim/CLIcK", "train", ["default"], _click),
    "mmmlu_ko": ("openai/MMMLU", "test", ["KO_KR"], _mmmlu),
}


@dataclass(frozen=True)
class Barred:
    """What may not be asked: ids, and training questions by their choices (see `_choices`)."""

    ids: frozenset[str] = frozenset()
    questions: Mapping[str, Sequence[Question]] = field(default_factory=dict)

    def bars(self, question: Question) -> bool:
        """Whether this id is barred, or a training question is the same whatever its id.

        The same: equal choices in any order, and these long enough to tell, or the one's
        question within the other's text. (Sets put a passage into the question or before it.)
        """
        if question.id in self.ids:
            return True
        own = _choices(question)
        alike = self.questions.get(own, ())
        return any(len(own) >= TELLING or _within(question, other) for other in alike)


def read_barred(files: Sequence[Path]) -> Barred:
    """What lists of exclusions bar: the ids they list, or the questions of training files.

    A CSV with a column `problems` is a training file; any other text file lists one id a line
    (of a CSV its first column). Raises UserError where a file cannot be read.
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
    return Barred(frozenset(ids), questions)


def _within(one: Question, other: Question) -> bool:
    text, asked = _plain(one.paragraph + one.question), _plain(one.question)
    return _plain(other.question) in text or asked in _plain(other.paragraph + other.question)


def _choices(question: Question) -> str:
    return " ".join(sorted(map(_plain, question.choices)))


def _plain(text: str) -> str:
    """Letters and digits alone: two sets seldom space and punctuate one question alike."""
    return re.sub(r"[\W_]", "", unicodedata.normalize("NFKC", text)).casefold()
