"""Whole files or none: written beside their place and moved there; and fingerprints."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a hidden path beside `path` to write to; it replaces `path` on success only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        with partial.open("rb") as stream:
            os.fsync(stream.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def atomic_directory(place: Path) -> Iterator[Path]:
    """Give a hidden folder beside `place` to fill; it replaces `place` on success only."""
    work = place.with_name(f".{place.name}.{os.getpid()}.partial")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        yield work
        move_directory(work, place)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def move_directory(work: Path, place: Path) -> None:
    """Put the finished folder `work` where `place` is, replacing what stood there."""
    old = place.with_name(f".{place.name}.{os.getpid()}.old")
    if place.exists():
        place.rename(old)
    work.rename(place)
    shutil.rmtree(old, ignore_errors=True)


def sha256_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def fingerprint(inputs: Any) -> str:
    """The SHA-256 of any JSON value, independent of the order of its keys."""
    text = json.dumps(inputs, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def resolve_path(path: str) -> Path:
    """A path from a YAML file, from the working directory, else from the project's root."""
    given = Path(path).expanduser()
    if given.is_absolute() or given.exists():
        return given
    beside = PROJECT / given
    return beside if beside.exists() else given
