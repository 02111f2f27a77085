"""Benchmarks from local files, in the layout in which the harness's own tasks read them."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from solution.core import UserError

Row = dict[str, Any]
Splits = dict[str, list[Row]]

KOBEST_SPLITS = {"train": "train", "validation": "dev", "test": "test"}


def local_tasks(tasks: Mapping[str, int], data: Path) -> dict[str, Any]:
    """Tasks of the harness and their shots, as one group, with rows from files under `data`.

    ARC-Challenge and HellaSwag take their shots from the validation rows (never the row that is
    asked), because no training file lies there; the hub's data has its own.
    Raises UserError where a task is not known here or a file is absent or faulty.
    """
    return {
        "group": "local_files",
        "task": [_local_task(task, data) | {"num_fewshot": n} for task, n in tasks.items()],
    }


def _local_task(task: str, data: Path) -> dict[str, Any]:
    splits = read_splits(task, data)

    def dataset(**_: Any) -> Any:
        from datasets import Dataset, DatasetDict

        return DatasetDict({name: Dataset.from_list(rows) for name, rows in splits.items()})

    own = {"task": task, "custom_dataset": dataset}
    return own if "train" in splits else own | {"training_split": None}


def read_splits(task: str, data: Path) -> Splits:
    """The rows of a task by split, as the hub's data set has them.

    Raises UserError where the task is not known here or a file is absent or faulty.
    """
    try:
        if task.startswith("mmlu_"):
            return _mmlu(data / "mmlu", task.removeprefix("mmlu_"))
        if task in KOBEST:
            return _kobest(data / "kobest", *KOBEST[task])
        if task in OTHERS:
            return OTHERS[task](data)
    except FileNotFoundError as error:
        raise UserError(
            f"{error.filename}: not there, and {task} reads it. Give the folder that holds it."
        ) from error
    except (KeyError, ValueError) as error:
        raise UserError(
            f"{data}: the files of {task} are not as expected: {error!r}"
        ) from error
    known = ", ".join([*KOBEST, "mmlu_SUBJECT", *OTHERS])
    raise UserError(f"{task}: no task with local files; known are {known}.")


def _text(path: Path) -> str:
    raw = path.read_bytes()
    return (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8")


def _kobest(data: Path, folder: str, convert: Callable[[Row], Row]) -> Splits:
    return {
        split: [convert(row) for row in _table(data / folder / f"{file}.tsv.gz")]
        for split, file in KOBEST_SPLITS.items()
    }


def _table(path: Path) -> list[Row]:
    """The rows of a TSV as it stands: no quoting, whatever line ends."""
    stream = io.StringIO(_text(path), newline="")
    return list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))


def _truth(value: str) -> int:
    """KoBEST writes True, TRUE, False and FALSE within one file."""
    return ("FALSE", "TRUE").index(value.strip().upper())


def _boolq(row: Row) -> Row:
    return {
        "paragraph": row["Text"],
        "question": row["Question"],
        "label": _truth(row["Answer"]),
    }


def _copa(row: Row) -> Row:
    return {
        "premise": row["sentence"],
        "question": row["question"].strip(),
        "alternative_1": row["1"],
        "alternative_2": row["2"],
        "label": int(row["Answer"]) - 1,
    }


def _kobest_hellaswag(row: Row) -> Row:
    endings = {f"ending_{i}": row[f"choice{i}"] for i in range(1, 5)}
    return {"context": row["context"], **endings, "label": int(row["label"])}


def _sentineg(row: Row) -> Row:
    return {"sentence": row["Text"], "label": int(row["Label"])}


def _wic(row: Row) -> Row:
    return {
        "word": row["Target"],
        "context_1": row["SENTENCE1"],
        "context_2": row["SENTENCE2"],
        "label": _truth(row["ANSWER"]),
    }


KOBEST: dict[str, tuple[str, Callable[[Row], Row]]] = {
    "kobest_boolq": ("BoolQ", _boolq),
    "kobest_copa": ("COPA", _copa),
    "kobest_hellaswag": ("HellaSwag", _kobest_hellaswag),
    "kobest_sentineg": ("SentiNeg", _sentineg),
    "kobest_wic": ("WiC", _wic),
}


def _mmlu(data: Path, subject: str) -> Splits:
    from pyarrow import parquet

    return {
        split: [
            {
                "question": row["question"],
                "choices": [row[f"choice{i}"] for i in range(4)],
                "answer": row["answer"],
            }
            for row in parquet.read_table(
                data / f"mmlu_{split}.parquet", filters=[("subject", "==", subject)]
            ).to_pylist()
        ]
        for split in ("dev", "test")
    }


def mmlu_subjects(data: Path) -> list[str]:
    """The subjects whose rows lie in `data`/mmlu, in alphabetical order."""
    from pyarrow import parquet

    table = parquet.read_table(data / "mmlu" / "mmlu_test.parquet", columns=["subject"])
    return sorted(set(table["subject"].to_pylist()))


def _arc(data: Path) -> Splits:
    files = {"validation": "ARC-Challenge-Dev.jsonl", "test": "ARC-Challenge-Test.jsonl"}
    return {
        split: [_arc_row(json.loads(line)) for line in _text(data / "arc" / name).splitlines()]
        for split, name in files.items()
    }


def _arc_row(row: Row) -> Row:
    choices = row["question"]["choices"]
    return {
        "question": row["question"]["stem"],
        "choices": {key: [one[key] for one in choices] for key in ("text", "label")},
        "answerKey": row["answerKey"],
    }


def _hellaswag(data: Path) -> Splits:
    lines = _text(data / "hellaswag" / "hellaswag_val_full.jsonl.gz").splitlines()
    return {"validation": [_hellaswag_row(json.loads(line)) for line in lines]}


def _hellaswag_row(row: Row) -> Row:
    """Back to the fields that the task joins again: `activity: context`."""
    activity, _, context = row["query"].partition(": ")
    return {
        "activity_label": activity,
        "ctx_a": context,
        "ctx_b": "",
        "endings": row["choices"],
        "label": str(row["gold"]),
    }


def _truthfulqa(data: Path) -> Splits:
    rows = json.loads(_text(data / "truthfulqa" / "mc_task.json.gz"))
    return {
        "validation": [
            {
                "question": row["question"],
                **{
                    name: {"choices": list(row[name]), "labels": list(row[name].values())}
                    for name in ("mc1_targets", "mc2_targets")
                },
            }
            for row in rows
        ]
    }


OTHERS: dict[str, Callable[[Path], Splits]] = {
    "arc_challenge": _arc,
    "hellaswag": _hellaswag,
    "truthfulqa_mc1": _truthfulqa,
    "truthfulqa_mc2": _truthfulqa,
}
