"""What must hold of the rows of a submission, against the ids they have to answer."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from solution.core import ErrorCollector
from solution.exam import Row, Table

COLUMNS = ("id", "answer")
EXAMPLES = 3


def check_submission(
    table: Table, choices: Mapping[str, int], problems: ErrorCollector
) -> dict[str, int]:
    """The answer of every id, in the file's order; all that is wrong is added to `problems`.

    `choices` holds the number of choices of every id that must be answered, in their order.
    Faults of one kind make one line with their count and a few examples.
    """
    if not _columns_hold(table, choices, problems):
        return {}
    _check_ids([row.fields["id"] for row in table.rows], list(choices), problems)
    return _check_answers(table.rows, choices, problems)


def _columns_hold(table: Table, choices: Mapping[str, int], problems: ErrorCollector) -> bool:
    if table.columns == COLUMNS:
        return True
    found = ",".join(table.columns)[:100]
    if table.columns and table.columns[0] in choices:
        problems.add(f"line 1: expected the header id,answer, found a data row: {found}")
    else:
        problems.add(f"line 1: expected the columns id,answer and no others, found {found}")
    return set(COLUMNS) <= set(table.columns)


def _check_ids(ids: Sequence[str], expected: Sequence[str], problems: ErrorCollector) -> None:
    counts, known = Counter(ids), set(expected)
    _tell(problems, "missing id", [id for id in expected if id not in counts])
    _tell(problems, "id the exam does not have", [repr(id) for id in counts if id not in known])
    _tell(problems, "id answered more than once", [id for id, n in counts.items() if n > 1])
    common = [id for id in dict.fromkeys(ids) if id in known]
    order = (id for id in expected if id in counts)
    for place, (found, wanted) in enumerate(zip(common, order, strict=True), start=1):
        if found != wanted:
            problems.add(
                f"ids in another order than the exam's: number {place} is {found}, "
                f"expected {wanted}"
            )
            return


def _check_answers(
    rows: Sequence[Row], choices: Mapping[str, int], problems: ErrorCollector
) -> dict[str, int]:
    answers: dict[str, int] = {}
    unreadable, beyond = [], []
    for row in rows:
        id, text = row.fields["id"], row.fields["answer"]
        if not re.fullmatch(r"[0-9]{1,9}", text):
            unreadable.append(f"{row}, {id}: {text[:40]!r}")
        elif id in choices and not 1 <= int(text) <= choices[id]:
            beyond.append(f"{row}, {id}: {text} where there are {choices[id]} choices")
        else:
            answers.setdefault(id, int(text))
    _tell(problems, "answer that is no whole number", unreadable)
    _tell(problems, "answer beyond its row's choices", beyond)
    return answers


def _tell(problems: ErrorCollector, kind: str, examples: Sequence[str]) -> None:
    if examples:
        more = "; …" if len(examples) > EXAMPLES else ""
        problems.add(f"{len(examples)} × {kind}: {'; '.join(examples[:EXAMPLES])}{more}")
