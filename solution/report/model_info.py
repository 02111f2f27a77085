"""What is known about a model besides its answers: size, cost, licence, training."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from solution.core import resolve_path
from solution.report.published import known
from solution.report.runs import RunResult

CARD, HEADER_BYTES = "README.md", 8
MAX_PATH = 250  # a longer name is no folder, and an error of the operating system
PACKED_DTYPES = {"U8", "I8", "I32"}  # several weights per element, or scales: not countable


def model_info(run: RunResult) -> dict[str, Any]:
    """Return the known facts of a run's model as plain values."""
    reference, metrics = run.reference, run.metrics
    training = metrics.get("training") or {}
    listed, folder = known(str(reference.get("model"))), _local_folder(reference)
    info: dict[str, Any] = {
        "name": run.name,
        "kind": run.kind,
        "run": str(run.folder),
        "model": reference.get("model"),
        "prompt": (run.config.get("prompt") or {}).get("name"),
        "parameters": metrics.get("parameters")
        or _count_parameters(folder)
        or listed.get("parameters"),
        "speed": metrics.get("questions_per_second"),
        "label_mass": metrics.get("label_mass")
        or metrics.get("scoring", {}).get("test", {}).get("label_mass"),
        "memory": metrics.get("peak_memory_gib") or training.get("peak_memory_gib"),
        "licence": run.row.get("licence") or _card_licence(folder) or listed.get("licence"),
        "published": _published(run.row),
    }
    return {name: value for name, value in info.items() if value not in (None, "")}


def training_info(run: RunResult) -> dict[str, Any]:
    """Return the curves and results of a fine-tuning as plain values."""
    training = run.metrics.get("training") or {}
    keep = ("best_step", "steps", "training_seconds", "trainable_parameters")
    return {
        "name": run.name,
        "model": run.reference.get("model"),
        "loss": [[row["step"], round(row["loss"], 5)] for row in training.get("loss", [])],
        "validation": [
            [row["step"], round(row["accuracy"], 5)] for row in training.get("validation", [])
        ],
        "before": run.metrics.get("before") or {},
        "after": run.metrics.get("after") or {},
        **{name: training[name] for name in keep if name in training},
    }


def _published(row: dict[str, str]) -> list[float] | None:
    try:
        return [float(row["published_public"]), float(row["published_private"])]
    except (KeyError, ValueError):
        return None


def _local_folder(reference: dict[str, Any]) -> Path | None:
    folder = resolve_path(str(reference.get("model", ""))[:MAX_PATH])
    return folder if folder.is_dir() else None


def _count_parameters(folder: Path | None) -> int | None:
    """Count weights by the headers of safetensors files; None if unknown."""
    total = 0
    for path in sorted(folder.glob("*.safetensors")) if folder else []:
        tensors = _safetensors_header(path)
        if any(tensor["dtype"] in PACKED_DTYPES for tensor in tensors):
            return None
        total += sum(math.prod(tensor["shape"]) for tensor in tensors)
    return total or None


def _safetensors_header(path: Path) -> list[dict[str, Any]]:
    """Return the tensors that a safetensors file lists; none if it is damaged."""
    try:
        with path.open("rb") as stream:
            size = int.from_bytes(stream.read(HEADER_BYTES), "little")
            if size > path.stat().st_size:
                return []
            header = json.loads(stream.read(size))
    except (OSError, ValueError):
        return []
    return [value for name, value in header.items() if name != "__metadata__"]


def _card_licence(folder: Path | None) -> str | None:
    """Return `license` from the metadata of a local model card."""
    card = folder / CARD if folder else None
    if card is None or not card.is_file():
        return None
    head = card.read_text(encoding="utf-8", errors="replace").split("\n---", 1)[0]
    for line in head.splitlines():
        if line.startswith("license:"):
            return line.partition(":")[2].strip().strip("\"'")
    return None
