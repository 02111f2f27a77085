"""Rows of the files in which instruction sets are published, one at a time.

CoT-Collection is one JSON object of 2.4 GB: what is read is never held whole.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from solution.core import UserError, log, resolve_path
from solution.models import hub_reachable

ENDINGS = (".json", ".jsonl", ".parquet", ".txt")
BLOCK = 1 << 20
BETWEEN = re.compile(r'[\s,]*(?:"(?:[^"\\]|\\.)*"\s*:\s*)?(?=\{)')
OBJECTS = re.compile(r'\{\s*"(?:[^"\\]|\\.)*"\s*:\s*\{')
# A demonstration file of CoT-Collection: `[Example 1]`, then headed parts.
EXAMPLE = re.compile(r"^\[Example \d+\]\s*$", re.MULTILINE)
PART = re.compile(r"^\[([A-Z][A-Za-z ]+)\]\s*$", re.MULTILINE)


def raw_rows(source: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each row of a file, folder or hub data set, as (place for messages, its keys).

    Raises UserError where the source is absent or a file is damaged.
    """
    for path in _files(source):
        name = path.name.removesuffix(".gz")
        read = {".parquet": _parquet, ".txt": _demonstrations}.get(
            Path(name).suffix, _lines if name.endswith(".jsonl") else _objects
        )
        try:
            for number, row in enumerate(read(path), start=1):
                yield f"{path.name} row {number}", row
        except (OSError, EOFError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise UserError(
                f"{path}: damaged or no {Path(name).suffix} in UTF-8 ({error}). Get it again."
            ) from error


def _files(source: str) -> list[Path]:
    path = resolve_path(source)
    if path.is_file():
        return [path]
    if not path.is_dir():
        path = _downloaded(source)
    kinds = tuple(ending + zipped for ending in ENDINGS for zipped in ("", ".gz"))
    found = sorted(file for file in path.rglob("*") if file.name.endswith(kinds))
    files = [file for file in found if file.name not in ("dataset_infos.json", "README.txt")]
    if not files:
        raise UserError(f"instructions {source}: no {', '.join(ENDINGS)} in {path}.")
    return files


def _downloaded(source: str) -> Path:
    """The folder of a hub data set; data files alone, no code is fetched or run."""
    from huggingface_hub import snapshot_download

    if not re.fullmatch(r"[\w.-]+/[\w.-]+", source):
        raise UserError(f"instructions {source}: no such file. Give a file or a hub id.")
    log(f"Instructions {source}: looking on the hub.")
    patterns = [f"*{ending}" for ending in ENDINGS[:3]]
    try:
        return Path(
            snapshot_download(
                source,
                repo_type="dataset",
                allow_patterns=patterns,
                local_files_only=not hub_reachable(),
            )
        )
    except Exception as error:  # gated, absent, offline: the client's own words say which
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"instructions {source}: not on this machine, and the hub did not give it "
            f"({reason}). Connect, or copy the file here and name it in data.instructions."
        ) from error


def _open(path: Path) -> IO[str]:
    if path.name.endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8-sig")
    return path.open(encoding="utf-8-sig")


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with _open(path) as stream:
        for line in stream:
            if line.strip():
                yield _mapping(json.loads(line), path)


def _objects(path: Path) -> Iterator[dict[str, Any]]:
    """The members of the one list or object that a JSON file is, or its lines."""
    with _open(path) as stream:
        first = stream.read(BLOCK).lstrip()
        if first.startswith("{") and not OBJECTS.match(first):
            yield from _lines(path)  # .json by name, one object a line by content
        elif first[:1] in ("[", "{"):
            yield from _members(stream, first[1:], path)
        else:
            raise UserError(f"{path}: expected a JSON list or object of rows.")


def _members(stream: IO[str], text: str, path: Path) -> Iterator[dict[str, Any]]:
    decoder, place, ended = json.JSONDecoder(), 0, False
    while True:
        between = BETWEEN.match(text, place)
        try:
            if between is None:
                raise json.JSONDecodeError("cut short", text, place)
            row, place = decoder.raw_decode(text, between.end())
        except json.JSONDecodeError:
            if text[place:].strip(" \n\r\t,") in ("]", "}"):
                return
            if ended:
                raise
            more = stream.read(BLOCK)
            ended, text, place = not more, text[place:] + more, 0
            continue
        yield _mapping(row, path)


def _parquet(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow
    from pyarrow import parquet

    try:
        for batch in parquet.ParquetFile(path).iter_batches():
            yield from batch.to_pylist()
    except pyarrow.ArrowException as error:
        raise UserError(f"{path}: no readable parquet file ({error}). Get it again.") from error


def _demonstrations(path: Path) -> Iterator[dict[str, Any]]:
    """CoT-Collection's own demonstrations, with the keys of its rows."""
    task = path.name.removesuffix(".gz").removesuffix(".txt")
    with _open(path) as stream:
        text = stream.read()
    for example in EXAMPLE.split(text)[1:]:
        pieces = PART.split(example)
        parts = dict(zip(pieces[1::2], (piece.strip() for piece in pieces[2::2]), strict=True))
        options = parts.get("Options", "")
        source = "\n\n".join(t for t in (parts.get("Instruction and Question"), options) if t)
        yield {
            "source": source,
            "target": parts.get("Answer", ""),
            "rationale": parts.get("Rationale", ""),
            "task": task,
        }


def _mapping(row: Any, path: Path) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise UserError(f"{path}: a row is {type(row).__name__}, expected an object of keys.")
    return row
