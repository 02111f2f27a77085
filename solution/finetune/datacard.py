"""The data card of a run: what was learnt from, what was left out and why, and its shape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from solution.core import markdown
from solution.exam import Question
from solution.finetune.material import Material

UNNAMED = "the training file"


def data_card(material: Material, training: Mapping[str, Any]) -> dict[str, Any]:
    """Rows by source, drops by reason, answers by position, lengths in tokens, as JSON.

    `training` is what `train_adapter` left in training.json: it knows the encoded rows.
    """
    rows = Counter(question.source or UNNAMED for question in material.train)
    rows.update(f"instructions {row.source}" for row in material.instructions.rows)
    rows["kowiki questions"] = len(material.wiki.questions)
    rows["kowiki passages"] = len(material.wiki.passages)
    dropped = Counter(
        {
            f"{source}: {reason}": count
            for (source, reason), count in material.instructions.dropped.items()
        }
    )
    dropped["training questions: in the test file too"] = material.left_out
    dropped["kowiki: in the test file too"] = material.wiki.left_out
    dropped.update(training.get("dropped", {}))
    return {
        "rows": dict(+rows),
        "dropped": dict(+dropped),
        "answers": _answers([*material.train, *material.wiki.questions]),
        "tokens": training.get("lengths", {}),
    }


def lengths(rows: Iterable[Sequence[int]]) -> dict[str, float]:
    """Shortest, median, mean, 95th percentile and longest of rows of token ids."""
    sizes = sorted(len(row) for row in rows)
    if not sizes:
        return {}
    return {
        "shortest": sizes[0],
        "median": sizes[len(sizes) // 2],
        "mean": round(sum(sizes) / len(sizes), 1),
        "p95": sizes[int(0.95 * (len(sizes) - 1))],
        "longest": sizes[-1],
    }


def card_section(card: Mapping[str, Any]) -> str:
    """The data card as Markdown, for the model card and for reading."""
    parts = [
        markdown(["source", "rows"], [(k, str(v)) for k, v in card["rows"].items()]),
    ]
    if card["dropped"]:
        dropped = [(reason, str(count)) for reason, count in card["dropped"].items()]
        parts.append(markdown(["left out", "rows"], dropped))
    if card["answers"]:
        most = max(len(counts) for counts in card["answers"].values())
        header = ["choices", *(f"answer {n}" for n in range(1, most + 1))]
        body = [
            (size, *(str(n) for n in counts), *[""] * (most - len(counts)))
            for size, counts in card["answers"].items()
        ]
        parts.append(markdown(header, body))
    if card["tokens"]:
        told = ", ".join(f"{name} {value:g}" for name, value in card["tokens"].items())
        parts.append(f"Tokens of a row: {told}.")
    return "\n\n".join(parts)


def _answers(questions: Iterable[Question]) -> dict[str, list[int]]:
    """How often each position is right, by the number of choices, before any shuffling."""
    found: dict[int, list[int]] = {}
    for question in questions:
        size = len(question.choices)
        counts = found.setdefault(size, [0] * size)
        counts[(question.answer or 1) - 1] += 1
    return {str(size): found[size] for size in sorted(found)}
