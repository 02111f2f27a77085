"""Benchmarks in miniature, made up here, in the layouts of the local files."""

import csv
import gzip
import json
from pathlib import Path

COPA = ["sentence", "question", "1", "2", "Answer"]
BOOLQ = ["Text", "Question", "Answer"]
SENTINEG = ["Text", "Label"]


def write_tsv(path: Path, header: list[str], rows: list[list]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["\t".join(map(str, row)) for row in [header, *rows]]
    data = "\r\n".join(lines) + "\r\n"
    path.write_bytes(gzip.compress(data.encode()) if path.suffix == ".gz" else data.encode())


def copa_row(i: int) -> list:
    return [f"비가 {i}번 왔다.", ["원인", "결과 "][i % 2], f"구름 {i}", f"우산 {i}", 1 + i % 2]


def boolq_row(i: int) -> list:
    return [f"강은 {i // 2}리를 흐른다.", f"강은 {i}리인가?", ["True", "FALSE"][i % 2]]


def sentineg_row(i: int) -> list:
    return [f"이 과자는 {i}점이다", i % 2]


def write_kobest(data: Path, train: int = 12, test: int = 9) -> Path:
    """KoBEST's COPA, BoolQ and SentiNeg; test rows count on from 100."""
    for folder, header, row in (
        ("COPA", COPA, copa_row),
        ("BoolQ", BOOLQ, boolq_row),
        ("SentiNeg", SENTINEG, sentineg_row),
    ):
        for split, numbers in (
            ("train", range(train)),
            ("dev", range(2)),
            ("test", range(100, 100 + test)),
        ):
            rows = [row(i) for i in numbers]
            write_tsv(data / "kobest" / folder / f"{split}.tsv.gz", header, rows)
    return data


def write_reviews(data: Path, name: str, number: int, first: int = 0) -> None:
    numbers = range(first, first + number)
    rows = [[i, f'영화 {i}, "good" 최고!', i % 2] for i in numbers]
    write_tsv(data / "nsmc" / name, ["id", "document", "label"], [*rows, [9999, "", 1]])


def write_arc(data: Path) -> None:
    for name, number in (("Dev", 4), ("Test", 3)):
        texts = ["north", "south east", "up"]
        rows = [
            {
                "question": {
                    "stem": f"Where is {name} {i}?",
                    "choices": [
                        {"text": t, "label": n} for t, n in zip(texts, "ABC", strict=True)
                    ],
                },
                "answerKey": "ABC"[i % 3],
            }
            for i in range(number)
        ]
        path = data / "arc" / f"ARC-Challenge-{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(json.dumps(row) for row in rows))


def write_questions(path: Path, questions: list[tuple[str, str, list[str], int]]) -> Path:
    """A CSV in the contest's layout of (id, question, choices, answer)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "paragraph", "problems", "question_plus"])
        for id, question, choices, answer in questions:
            problems = {"question": question, "choices": choices, "answer": answer}
            writer.writerow([id, "", str(problems), ""])
    return path
