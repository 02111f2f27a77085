"""What is known of a model beside its answers: size, cost, terms, published scores."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from solution.core import resolve_path
from solution.report.published import known
from solution.report.runs import Entry

CARD, HEADER_BYTES = "README.md", 8
LONGEST_PATH = 250  # longer ones are errors of the operating system, and no folders of ours
PACKED = {"U8", "I8", "I32"}  # several weights in one number, or scales: not to be counted


def facts_of(entry: Entry) -> dict[str, Any]:
    """Plain values for the page; a fact that is not known is left out."""
    reference, metrics, board = entry.reference, entry.metrics, entry.board
    training = metrics.get("training") or {}
    told = known(str(reference.get("model")))
    found: dict[str, Any] = {
        "name": entry.name,
        "kind": entry.kind,
        "run": str(entry.folder),
        "model": reference.get("model"),
        "quantization": reference.get("quantization"),
        "prompt": (entry.config.get("prompt") or {}).get("name"),
        "device": metrics.get("device"),
        "parameters": metrics.get("parameters")
        or _local_parameters(reference)
        or told.get("parameters"),
        "seconds": metrics.get("seconds"),
        "speed": metrics.get("questions_per_second"),
        "memory": metrics.get("peak_memory_gib") or training.get("peak_memory_gib"),
        "licence": board.get("licence") or _licence(reference) or told.get("licence"),
        "truncated": metrics.get("truncated_rows") or None,
        "published": _published(board),
    }
    return {name: value for name, value in found.items() if value not in (None, "")}


def tuning_of(entry: Entry) -> dict[str, Any]:
    """The course of a fine-tuning: loss by step, validation by step, before and after."""
    training = entry.metrics.get("training") or {}
    keep = ("best_step", "steps", "training_seconds", "trainable_parameters", "questions_read")
    recipe = entry.config.get("recipe") or {}
    return {
        "name": entry.name,
        "run": str(entry.folder),
        "model": entry.reference.get("model"),
        "loss": [[row["step"], _short(row["loss"])] for row in training.get("loss", [])],
        "validation": [
            [row["step"], _short(row["accuracy"]), _short(row["loss"])]
            for row in training.get("validation", [])
        ],
        "before": entry.metrics.get("before") or {},
        "after": entry.metrics.get("after") or {},
        "data": entry.metrics.get("data") or {},
        "lora": recipe.get("lora") or {},
        "train": recipe.get("train") or {},
        **{name: training[name] for name in keep if name in training},
    }


def _short(value: float) -> float:
    return round(value, 5)


def _published(board: dict[str, str]) -> list[float] | None:
    try:
        return [float(board["published_public"]), float(board["published_private"])]
    except (KeyError, ValueError):
        return None


def _local_parameters(reference: dict[str, Any]) -> int | None:
    """Weights of a local model by the headers of its safetensors files; None where unknown."""
    folder, total = _local_folder(reference), 0
    for path in sorted(folder.glob("*.safetensors")) if folder else []:
        tensors = _header(path)
        if any(tensor["dtype"] in PACKED for tensor in tensors):
            return None
        total += sum(math.prod(tensor["shape"]) for tensor in tensors)
    return total or None


def _local_folder(reference: dict[str, Any]) -> Path | None:
    folder = resolve_path(str(reference.get("model", ""))[:LONGEST_PATH])
    return folder if folder.is_dir() else None


def _header(path: Path) -> list[dict[str, Any]]:
    """The tensors that a safetensors file names; none where it is damaged."""
    try:
        with path.open("rb") as stream:
            size = int.from_bytes(stream.read(HEADER_BYTES), "little")
            if size > path.stat().st_size:
                return []
            header = json.loads(stream.read(size))
    except (OSError, ValueError):
        return []
    return [value for name, value in header.items() if name != "__metadata__"]


def _licence(reference: dict[str, Any]) -> str | None:
    """What the model card in a local folder says in its head."""
    folder = _local_folder(reference)
    card = folder / CARD if folder else None
    if card is None or not card.is_file():
        return None
    head = card.read_text(encoding="utf-8", errors="replace").split("\n---", 1)[0]
    for line in head.splitlines():
        if line.startswith("license:"):
            return line.partition(":")[2].strip().strip("\"'")
    return None
