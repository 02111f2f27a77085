"""Other people's exam files: which columns hold what, and how choices and answers are named."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

from solution.core import UserError
from solution.exam.csv_table import Table

# Names in use for each part of a question, besides our own; the first match is taken.
NAMES = {
    "id": ("id", "index", "qid", "question_id", "번호"),
    "paragraph": ("paragraph", "passage", "context", "article", "지문", "본문"),
    "question": ("question", "prompt", "stem", "question_text", "질문", "문제", "발문"),
    "question_plus": ("question_plus", "보기"),
    "choices": ("choices", "options", "선택지"),
    "answer": ("answer", "answerkey", "answer_key", "label", "gold", "정답"),
    "subject": ("subject", "category", "과목"),
    "source": ("source",),
}
PARTS = (*NAMES, "problems")
CHOICE = re.compile(
    r"(?:(?:choice|option|opt|ending|선택지|선지|보기)[ _]?)?([a-j])"
    r"|(?:choice|option|opt|ending|선택지|선지|보기)[ _]?([0-9]{1,2})",
    re.I,
)
CIRCLED = "①②③④⑤⑥⑦⑧⑨⑩"
# Missing values as pandas, numpy, SQL and spreadsheets write them, and Excel's errors.
MISSING = {"nan", "none", "null", "-", "<na>", "n/a", "#n/a", "nat"}
MISSING |= {"#name?", "#value!", "#ref!", "#div/0!"}


@dataclass(frozen=True)
class Layout:
    """The column of each part of a question, and the columns of the choices, if they have some.

    `letters` says that the file names its choices A, B, C …: so does its submission.
    """

    columns: Mapping[str, str]
    choices: tuple[str, ...] = ()
    letters: bool = False

    def __str__(self) -> str:
        renamed = [
            f"{column} as {part}" for part, column in self.columns.items() if part != column
        ]
        if self.choices:
            renamed.append(f"choices in columns {self.choices[0]} to {self.choices[-1]}")
        return "; ".join(renamed)

    def used(self) -> set[str]:
        """Return the names of all columns that are read."""
        return {*self.columns.values(), *self.choices}


def recognise(table: Table, columns: Mapping[str, str] | None = None) -> Layout:
    """Find the layout of a table; `columns` maps parts of a question to columns by name.

    Raises:
        UserError: No column holds the question or the choices, or a mapped column is missing.

    """
    found = dict(columns or {})
    for part, column in found.items():
        if part not in PARTS:
            raise UserError(f"columns: unknown part {part!r}; expected {', '.join(PARTS)}.")
        if column not in table.columns:
            raise UserError(
                f"{table.path}: columns maps {part} to {column!r}, which is missing; found: "
                f"{', '.join(table.columns)[:200]}."
            )
    lower = {name.lower(): name for name in reversed(table.columns)}
    for part, names in {"problems": ("problems",), **NAMES}.items():
        match = next((lower[name] for name in names if name in lower), None)
        if match and part not in found and match not in found.values():
            found[part] = match
    if "problems" in found:
        return Layout({k: v for k, v in found.items() if k not in ("question", "choices")})
    choices, letters = _choice_columns(table, set(found.values()))
    if "choices" in found:
        choices, letters = (), False
    missing = [] if "question" in found else ["question"]
    missing += [] if choices or "choices" in found else ["choices (or columns A, B, C, …)"]
    if missing:
        raise UserError(
            f"{table.path}: {table.format}, no column for {' and '.join(missing)}; found: "
            f"{', '.join(table.columns)[:200]}. Expected the contest's id,paragraph,problems, "
            "or question,choices,answer, or question,A,B,C,D,answer in the first line; other "
            "names can be mapped in a suite by `columns: {question: NAME, …}`."
        )
    return Layout(found, choices, letters)


def choice_texts(value: Any) -> tuple[Any, bool]:
    """Return the choices of {text: […], label: […]} or {A: …, B: …}; whether letters name them.

    Any other value is returned as it is.
    """
    if not isinstance(value, dict):
        return value, False
    texts, labels = value.get("text"), value.get("label")
    if not isinstance(texts, list):
        texts, labels = list(value.values()), list(value)
    letters = labels == list(ascii_uppercase[: len(texts)])
    numbers = labels == [str(n) for n in range(1, len(texts) + 1)]
    return (texts, letters) if letters or numbers or labels is None else (value, False)


def is_missing(text: str) -> bool:
    """Whether the text is a missing value as other programs write it (nan, None, NULL, -)."""
    return text.strip().lower() in MISSING


def answer_number(text: str) -> int | None:
    """Return the choice (from 1) that 2, "2번", "②", "(2)" or "B" names, or None."""
    text = text.strip()
    if len(text) == 1 and text in CIRCLED:
        return CIRCLED.index(text) + 1
    if found := re.fullmatch(r"\(?([0-9]{1,2})(?:\.0|번|\))?", text):
        return int(found[1])
    if found := re.fullmatch(r"\(?([A-Ja-j])[).]?", text):
        return ascii_uppercase.index(found[1].upper()) + 1
    return None


def _choice_columns(table: Table, taken: set[str]) -> tuple[tuple[str, ...], bool]:
    """Return the columns A, B, C, … or choice1, choice2, … in their order."""
    letters: dict[int, str] = {}
    numbers: dict[int, str] = {}
    for name in table.columns:
        found = CHOICE.fullmatch(name.strip())
        if found and found[1] and name not in taken:
            letters[ascii_uppercase.index(found[1].upper())] = name
        elif found and name not in taken:
            numbers[int(found[2])] = name
    best = letters if len(letters) >= len(numbers) else numbers
    order = sorted(best)
    if len(order) < 2 or order != list(range(order[0], order[0] + len(order))) or order[0] > 1:
        return (), False
    return tuple(best[number] for number in order), best is letters
