"""Rows as the harness fork of the Korean model studies asks them; never equal to the harness's.

Prompts, order and shots follow github.com/Beomi/ko-lm-evaluation-harness (`tasks/kobest.py`,
`tasks/nsmc.py`, `base.py`, `evaluator.py`): rows are shuffled by a stream seeded with 42, which
then draws the shots of row after row; contexts and continuations become tokens each by itself.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from solution.core import UserError
from solution.scoring.benchmarks.harness_rows import GROUPS
from solution.scoring.benchmarks.hub import from_hub
from solution.scoring.benchmarks.nsmc import read_nsmc
from solution.scoring.benchmarks.rows import Row
from solution.scoring.local_tasks import read_splits

SEED = 42
HUB = "skt/kobest_v1"

Doc = dict[str, Any]


@dataclass(frozen=True)
class Form:
    """How one task is asked: its text, what closes a shot, and what may follow the context."""

    text: Callable[[Doc], str]
    target: Callable[[Doc], str]
    choices: Callable[[Doc], tuple[str, ...]]
    stripped: bool = False


def polyglot_rows(
    name: str, shots: int, data: Path | None, *, fixed: bool, limit: int | None
) -> list[Row]:
    """The rows of a task with the fork's prompts and shots; `fixed`: one draw for all rows.

    Raises UserError where the fork's prompts for a task are not known here.
    """
    if name not in FORMS:
        known = ", ".join(FORMS)
        raise UserError(f"{name}: no prompt of family polyglot; it has {known}.")
    form = FORMS[name]
    train, test = _docs(name, data)
    stream = random.Random(SEED)
    order = list(range(len(test)))
    stream.shuffle(order)
    draw = stream.sample(range(len(train)), shots) if fixed else []
    rows = []
    for number in order[:limit]:
        chosen = draw if fixed else stream.sample(range(len(train)), shots)
        rows.append(_row(name, form, number, test[number], [train[i] for i in chosen]))
    return rows


def _docs(name: str, data: Path | None) -> tuple[Sequence[Doc], Sequence[Doc]]:
    if name == "nsmc":
        train, test = read_nsmc(data)
        return train, test
    splits = read_splits(name, data) if data is not None else _hub_splits(name)
    return splits["train"], splits["test"]


def _hub_splits(name: str) -> dict[str, list[Doc]]:
    from datasets import load_dataset

    with from_hub(name):
        splits = load_dataset(HUB, name.removeprefix("kobest_"))
        return {split: splits[split].to_list() for split in ("train", "test")}


def _row(name: str, form: Form, number: int, doc: Doc, shots: Sequence[Doc]) -> Row:
    shown = "".join(f"{form.text(shot)}{form.target(shot)}\n\n" for shot in shots)
    context = shown + form.text(doc)
    choices = form.choices(doc)
    return Row(
        id=f"{name}-{number}",
        context=context.strip() if form.stripped else context,
        choices=choices,
        answer=1 + int(doc["label"]),
        group=str(doc[GROUPS[name]]) if name in GROUPS else "",
        lengths=tuple(len(choice) for choice in choices),
    )


def _boolq(doc: Doc) -> str:
    asked = "다음 문장이 내용에 있는 사실과 일치하는가?"
    return f"내용: {doc['paragraph']}\n질문: {asked}\n문장: {doc['question']}\n응답: "


def _copa(doc: Doc) -> str:
    connector = {"원인": "왜냐하면", "결과": "그래서"}[doc["question"].strip()]
    return f"{doc['premise']} {connector}"


def _alternatives(doc: Doc) -> tuple[str, ...]:
    return doc["alternative_1"], doc["alternative_2"]


def _endings(doc: Doc) -> tuple[str, ...]:
    return tuple(f" {doc[f'ending_{i}']}" for i in range(1, 5))


def _wic(doc: Doc) -> str:
    asked = f"문장1과 문장2에서 쓰인 단어 [{doc['word']}]가 같은 뜻으로 쓰였나?"
    return f"문장1: {doc['context_1']}\n문장2: {doc['context_2']}\n질문: {asked}\n응답: "


def _review(doc: Doc) -> str:
    from lm_eval.utils import general_detokenize

    return str(general_detokenize(doc["document"]))


def _labels(text: Callable[[Doc], str], *labels: str) -> Form:
    return Form(text, lambda doc: labels[int(doc["label"])], lambda _: labels)


FORMS = {
    "kobest_boolq": _labels(_boolq, " 아니오", " 예"),
    # Shots join the alternative with a space, what is asked does not: so the fork has it.
    "kobest_copa": Form(
        _copa,
        lambda doc: " " + _alternatives(doc)[int(doc["label"])],
        _alternatives,
        stripped=True,
    ),
    "kobest_hellaswag": Form(
        lambda doc: str(doc["context"]),
        lambda doc: _endings(doc)[int(doc["label"])],
        _endings,
    ),
    "kobest_sentineg": _labels(lambda doc: str(doc["sentence"]), " (부정)", " (긍정)"),
    "kobest_wic": _labels(_wic, "아니오", "예"),
    "nsmc": _labels(_review, " (부정)", " (긍정)"),
}
