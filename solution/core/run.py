"""Run folders: complete or absent, found again by the fingerprint of their inputs."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from solution.core.errors import UserError
from solution.core.files import atomic_write, fingerprint

# A change of one of these may change a result, so it makes another run.
PACKAGES = ("torch", "transformers", "peft", "trl", "unsloth", "bitsandbytes", "tokenizers")


@dataclass(frozen=True)
class Run:
    """One execution: where it lands, where it is being written, and what it was made from."""

    place: Path
    work: Path
    inputs: dict[str, Any]
    fingerprint: str

    @property
    def finished(self) -> bool:
        """Whether a complete run with the same inputs already stands in its place."""
        return _fingerprint_of(self.place) == self.fingerprint

    def publish(self, metrics: Mapping[str, Any]) -> None:
        """Write config, environment and metrics, then move the folder to its place.

        A finished run of other inputs that stands there is kept as `<name>.<its fingerprint>`.
        """
        write_json(self.work / "metrics.json", metrics)
        write_json(self.work / "environment.json", _environment())
        with atomic_write(self.work / "config.yaml") as path:
            text = yaml.safe_dump(self.inputs, allow_unicode=True, sort_keys=False)
            path.write_text(f"# fingerprint: {self.fingerprint}\n{text}", encoding="utf-8")
        self.promote()

    def promote(self) -> None:
        """Move a complete work folder to its place, keeping what stood there."""
        old = _fingerprint_of(self.place)
        if self.place.exists():
            if old is None:
                raise UserError(
                    f"{self.place}: stands there but is no run of ours. Move it away."
                )
            kept = _kept(self.place, old)
            if kept.exists():
                shutil.rmtree(kept)
            self.place.rename(kept)
        self.work.rename(self.place)


def find_run(place: Path, inputs: Mapping[str, Any]) -> Run:
    """The run of these inputs, only looked at: no folder is made or moved."""
    packages = {name: _version(name) for name in PACKAGES}
    whole = {**inputs, "packages": packages}
    mark = fingerprint(whole)
    return Run(place, place.with_name(f".{place.name}.{mark[:8]}.work"), whole, mark)


def open_run(place: Path, inputs: Mapping[str, Any]) -> Run:
    """Find or begin the run of these inputs; `work` keeps what an interrupted one left."""
    run = find_run(place, inputs)
    mark = run.fingerprint
    if not run.finished:
        kept = _kept(place, mark)
        if _fingerprint_of(kept) == mark:  # an earlier run of the same inputs, set aside since
            kept.rename(run.work)
        if _fingerprint_of(run.work) == mark:  # killed between writing and moving
            run.promote()
        else:
            run.work.mkdir(parents=True, exist_ok=True)
    return run


def write_json(path: Path, value: Any) -> None:
    """Write one JSON file whole, readable Korean included."""
    with atomic_write(path) as partial:
        partial.write_text(
            json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8"
        )


def _kept(place: Path, mark: str) -> Path:
    return place.with_name(f"{place.name}.{mark[:8]}")


def _fingerprint_of(place: Path) -> str | None:
    """What a complete run folder says it was made from; None where it is not one."""
    try:
        with (place / "config.yaml").open(encoding="utf-8") as stream:
            first = stream.readline()
    except OSError:
        return None
    key, _, mark = first.strip().partition(": ")
    return mark if key == "# fingerprint" else None


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _environment() -> dict[str, Any]:
    versions = {d.metadata["Name"]: d.version for d in importlib.metadata.distributions()}
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.platform(),
        "packages": dict(sorted(versions.items())),
    }
