"""`submit history`: a log of every submission, a copy of each file, and its scores."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from solution.core import UserError, aligned, atomic_write, log, sha256_file
from solution.submit.files import SUBMISSION, SUBMISSIONS
from solution.submit.score import private_interval

HISTORY = SUBMISSIONS / "history.jsonl"
COPIES = SUBMISSIONS / "history"
Scores = Mapping[str, Sequence[int]]


def record_submission(
    folder: Path,
    sources: Mapping[Path, str],
    scores: Scores,
    note: str = "",
    file: str = SUBMISSION,
) -> None:
    """Append a submission to the log and keep a copy of its file under its SHA-256.

    `sources` maps the files it was made from to the SHA-256 of what was read; `scores` has
    correct answers and rows of `public` and `private`, where known.
    """
    path = folder / file
    sha256 = sha256_file(path)
    copy = COPIES / f"{sha256}.csv"
    if not copy.exists():
        with atomic_write(copy) as partial:
            shutil.copyfile(path, partial)
    append_record(
        {
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "file": str(path),
            "sha256": sha256,
            "sources": [{"file": str(s), "sha256": sha} for s, sha in sources.items()],
            "scores": dict(scores),
            "note": note,
        }
    )


def append_record(record: Mapping[str, Any]) -> None:
    """Append one line under a lock and flush it to disk.

    A truncated last line is terminated first, so that readers skip it alone.
    """
    HISTORY.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(record, ensure_ascii=False).encode() + b"\n"
    stream = os.open(HISTORY, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        fcntl.flock(stream, fcntl.LOCK_EX)
        size = os.fstat(stream).st_size
        if size and os.pread(stream, 1, size - 1) != b"\n":
            line = b"\n" + line
        os.write(stream, line)
        os.fsync(stream)
    finally:
        os.close(stream)


def history(
    file: Path | None = None,
    public: tuple[int, int] | None = None,
    private: tuple[int, int] | None = None,
    note: str = "",
) -> str:
    """Return the table of all submissions, newest last; with `file`, first add to its record.

    `public` and `private` are correct answers and rows. Where only the public score is known,
    the private column shows its 95 % interval.
    """
    given = {"public": public, "private": private}
    scores = {half: list(pair) for half, pair in given.items() if pair}
    if file is None and (scores or note):
        raise UserError("Which submission? Give its file: submit history FILE --public 0.7.")
    if file is not None:
        if not file.is_file():
            raise UserError(f"{file}: not found. Give the submission CSV that was scored.")
        if not scores and not note:
            raise UserError("Nothing to add: give --public, --private or --note.")
        record_submission(file.parent, {}, scores, note, file.name)
    rows = merge_records(read_history())
    if not rows:
        return f"{HISTORY}: no submission yet."
    header = ["submission", "time", "rows of", "public", "private", "sha256", "note"]
    return aligned(header, [_row(record) for record in rows])


def read_history() -> list[dict[str, Any]]:
    """Return all records in order; truncated lines are skipped with a warning."""
    if not HISTORY.exists():
        return []
    records = []
    # Not splitlines(): it also splits at U+2028 and others, which JSON strings may hold.
    for number, line in enumerate(HISTORY.read_bytes().removesuffix(b"\n").split(b"\n"), 1):
        try:
            record = json.loads(line)
            record["sha256"], record["file"], record["time"]
        except (ValueError, KeyError, TypeError):
            log(f"{HISTORY}: line {number} is truncated and was skipped.")
        else:
            records.append(record)
    return records


def merge_records(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one record per file content: the first, with later scores and notes."""
    found: dict[str, dict[str, Any]] = {}
    for record in records:
        known = found.setdefault(record["sha256"], {**record, "scores": {}, "note": ""})
        known["sources"] = known.get("sources") or record.get("sources", [])
        known["scores"] = known["scores"] | record.get("scores", {})
        notes = [known["note"], record.get("note", "")]
        known["note"] = "; ".join(dict.fromkeys(note for note in notes if note))
    return list(found.values())


def _row(record: Mapping[str, Any]) -> tuple[str, ...]:
    public, private = (record["scores"].get(half) for half in ("public", "private"))
    expected = ""
    if public and not private:
        low, high = private_interval(public[0], public[1], public[1])
        expected = f"{low:.4f}–{high:.4f}?"
    return (
        record["file"],
        record["time"][:16],
        ", ".join(Path(source["file"]).parent.name for source in record["sources"]),
        f"{public[0] / public[1]:.4f}" if public else "",
        f"{private[0] / private[1]:.4f}" if private else expected,
        record["sha256"][:8],
        " ".join(record["note"].split()),
    )
