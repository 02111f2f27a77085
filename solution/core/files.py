"""Atomic writes (temporary file, then rename), hashes, JSON, JSON Lines and file locks."""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from solution.core.errors import UserError

PROJECT = Path(__file__).resolve().parents[2]


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; it replaces `path` only on success."""
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
def atomic_directory(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling folder; it replaces `path` only on success."""
    work = path.with_name(f".{path.name}.{os.getpid()}.partial")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        yield work
        move_directory(work, path)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def move_directory(source: Path, target: Path) -> None:
    """Rename a folder to `target`, replacing a folder of that name."""
    old = target.with_name(f".{target.name}.{os.getpid()}.old")
    if target.exists():
        target.rename(old)
    source.rename(target)
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def exclusive_lock(path: Path, message: str) -> Iterator[None]:
    """Hold the lock file `path`; the system releases it when the process ends, killed or not.

    Raises:
        UserError: With `message`, where another process holds the lock.

    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("w")
    except OSError as error:
        raise UserError(
            f"{path.parent}: not writable ({error.strerror}); set --out."
        ) from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(message) from error
        yield


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_path(path: Path) -> str:
    """Return the SHA-256 of a file, or of all names and contents below a folder."""
    if path.is_file():
        return sha256_file(path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return fingerprint({str(f.relative_to(path)): sha256_file(f) for f in files})


def fingerprint(inputs: Any) -> str:
    """Return the SHA-256 of a JSON value, independent of the order of its keys."""
    text = json.dumps(inputs, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def resolve_path(path: str) -> Path:
    """Resolve a path relative to the working directory; embedded files are always found."""
    given = Path(path).expanduser()
    if given.is_absolute() or given.exists() or given.parts[:2] != ("data", "embedded"):
        return given
    return PROJECT / given


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically, Korean unescaped; NaN and infinities become null."""
    text = json.dumps(_finite(value), ensure_ascii=False, indent=2, allow_nan=False)
    with atomic_write(path) as partial:
        partial.write_text(text + "\n", encoding="utf-8")


def json_line(row: Mapping[str, Any]) -> str:
    """Format one line of JSON Lines, Korean unescaped; NaN and infinities become null."""
    return json.dumps(_finite(row), ensure_ascii=False, allow_nan=False) + "\n"


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a JSON Lines file atomically."""
    with atomic_write(path) as partial:
        partial.write_text("".join(map(json_line, rows)), encoding="utf-8")


def append_jsonl(path: Path, row: Mapping[str, Any]) -> None:
    """Append one line under a lock and flush it to disk; end a truncated line first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        if stream.seek(0, os.SEEK_END):
            stream.seek(-1, os.SEEK_END)
            if stream.read(1) != b"\n":
                stream.write(b"\n")
        stream.write(json_line(row).encode())
        stream.flush()
        os.fsync(stream.fileno())


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    r"""Read the complete lines of a JSON Lines file that may end in a truncated one.

    Splits at "\n" alone: U+2028, U+2029 and U+0085 are legal inside a JSON string.
    Returns [] for a missing file.
    """
    if not path.is_file():
        return []
    rows = []
    for line in path.read_bytes().split(b"\n"):
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return [row for row in rows if isinstance(row, dict)]


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
