"""Small instruction sets of the made-up country, in the layouts that the studies' sets have."""

from __future__ import annotations

import json
from pathlib import Path

from solution.core import atomic_write
from solution.exam import Question, read_exam

ROWS = 48


def write_instructions(folder: Path) -> None:
    """Write alpaca.json, koalpaca.jsonl, platypus.json, cot.json from the exam's train.csv."""
    exam = read_exam(folder / "train.csv", answers=True)
    asked = [q for q in exam.questions if q.paragraph][:ROWS]
    alpaca = [
        {"instruction": q.question, "input": q.paragraph, "output": _answer(q)} for q in asked
    ]
    alpaca[::3] = [
        {"instruction": f"{row['input']} {row['instruction']}", "input": "", **_output(row)}
        for row in alpaca[::3]
    ]
    platypus = [row | {"data_source": "haedeun"} for row in alpaca]
    plain = [
        {"instruction": f"{q.paragraph} {q.question}", **{"output": _answer(q), "url": ""}}
        for q in asked
    ]
    # Tasks of very different sizes, as CoT-Collection has them.
    cot = {
        str(n): {
            "source": f"{q.paragraph}\n{q.question}",
            "target": _answer(q),
            "rationale": _reason(q),
            "task": "who" if n % 8 == 0 else "what",
            "type": "CoT",
        }
        for n, q in enumerate(asked)
    }
    place = folder / "instructions"
    for name, rows in {"alpaca": alpaca, "platypus": platypus, "cot": cot}.items():
        _write(place / f"{name}.json", json.dumps(rows, ensure_ascii=False, indent=1))
    lines = (json.dumps(row, ensure_ascii=False) for row in plain)
    _write(place / "koalpaca.jsonl", "\n".join(lines))


def _answer(question: Question) -> str:
    assert question.answer is not None, "read with answers=True"
    return question.choices[question.answer - 1]


def _output(row: dict[str, str]) -> dict[str, str]:
    return {"output": row["output"]}


def _reason(question: Question) -> str:
    """The sentence of the passage that holds the answer."""
    sentences = question.paragraph.split(". ")
    found = [s.rstrip(".") for s in sentences if _answer(question) in s]
    return f"{found[0] if found else sentences[0]}."


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as partial:
        partial.write_text(text + "\n", encoding="utf-8")
