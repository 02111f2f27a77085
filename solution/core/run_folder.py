"""Run folders: complete or absent, found again by the fingerprint of their inputs."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from solution.core.errors import UserError
from solution.core.files import atomic_write, fingerprint, write_json

# Another version of one of these may change a result, so it makes another run.
PACKAGES = ("torch", "transformers", "peft", "trl", "unsloth", "bitsandbytes", "tokenizers")
HEADER = "# fingerprint: "


@dataclass(frozen=True)
class Run:
    """One execution: its final folder, its work folder and the inputs that identify it."""

    directory: Path
    work: Path
    inputs: dict[str, Any]
    fingerprint: str

    @property
    def finished(self) -> bool:
        """Whether `directory` holds a complete run of the same inputs."""
        return _stored_fingerprint(self.directory) == self.fingerprint

    def finalize(self, metrics: Mapping[str, Any]) -> None:
        """Write config, environment and metrics, then `commit`."""
        write_json(self.work / "metrics.json", metrics)
        write_json(self.work / "environment.json", _environment())
        with atomic_write(self.work / "config.yaml") as path:
            text = yaml.safe_dump(self.inputs, allow_unicode=True, sort_keys=False)
            path.write_text(f"{HEADER}{self.fingerprint}\n{text}", encoding="utf-8")
        self.commit()

    def commit(self) -> None:
        """Rename a complete work folder to `directory`.

        A finished run of other inputs there is kept as `<name>.<8 digits of its fingerprint>`.
        """
        if self.directory.exists():
            old = _stored_fingerprint(self.directory)
            if old is None:
                raise UserError(
                    f"{self.directory}: exists but is not a run folder; move or delete it."
                )
            backup = _backup(self.directory, old)
            shutil.rmtree(backup, ignore_errors=True)
            self.directory.rename(backup)
        self.work.rename(self.directory)


def find_run(directory: Path, inputs: Mapping[str, Any]) -> Run:
    """Return the run of these inputs without creating or moving any folder."""
    versions = {name: package_version(name) for name in PACKAGES}
    identity = {**inputs, "packages": versions}
    digest = fingerprint(identity)
    work = directory.with_name(f".{directory.name}.{digest[:8]}.work")
    return Run(directory, work, identity, digest)


def open_run(directory: Path, inputs: Mapping[str, Any]) -> Run:
    """Find or begin the run of these inputs; `work` keeps the files of an interrupted one."""
    run = find_run(directory, inputs)
    if run.finished:
        return run
    backup = _backup(directory, run.fingerprint)
    if _stored_fingerprint(backup) == run.fingerprint:  # replaced by another run since
        backup.rename(run.work)
    if _stored_fingerprint(run.work) == run.fingerprint:  # killed before the rename
        run.commit()
    else:
        run.work.mkdir(parents=True, exist_ok=True)
    return run


def package_version(name: str) -> str | None:
    """Return the installed version of a package, None where it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _backup(directory: Path, digest: str) -> Path:
    return directory.with_name(f"{directory.name}.{digest[:8]}")


def _stored_fingerprint(directory: Path) -> str | None:
    """Read the fingerprint of a complete run folder; None for any other folder."""
    try:
        with (directory / "config.yaml").open(encoding="utf-8") as stream:
            first = stream.readline()
    except OSError:
        return None
    return first.removeprefix(HEADER).strip() if first.startswith(HEADER) else None


def _environment() -> dict[str, Any]:
    versions = {d.metadata["Name"]: d.version for d in importlib.metadata.distributions()}
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.platform(),
        "packages": dict(sorted(versions.items())),
    }
