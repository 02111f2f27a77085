"""`submit history`: every submission that was written, and what the board said of it."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from solution.core import UserError, aligned, sha256_file
from solution.core import log as tell
from solution.submit.shakeup import private_interval
from solution.submit.write import SUBMISSION

HISTORY = Path("submissions") / "history.jsonl"
Scores = Mapping[str, Sequence[int]]


def remember(
    folder: Path, sources: Sequence[Path], scores: Scores, note: str, file: str = SUBMISSION
) -> None:
    """Add the submission in `folder` to the history; nothing in it is ever changed.

    `scores` holds right answers and rows of `public` and `private`, where they are known.
    """
    path = folder / file
    append(
        {
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "file": str(path),
            "sha256": sha256_file(path),
            "sources": [{"file": str(s), "sha256": sha256_file(s)} for s in sources],
            "scores": dict(scores),
            "note": note,
        }
    )


def append(record: Mapping[str, Any]) -> None:
    """One line at the end, whole: written at once, by one process at a time, and to the disk.

    A line that a crash left half-written stays alone on its line; readers pass over it.
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
    """The table of all submissions, newest last; with `file`, first what is new about it.

    `public` and `private` are right answers and rows, as the board gave them. Where only the
    public score is known, the private one is given as its 95 % interval.
    Raises UserError where the file is absent, or there is nothing to add.
    """
    if file is not None:
        if not file.is_file():
            raise UserError(f"{file}: not there. Give the submission CSV that was scored.")
        given = {"public": public, "private": private}
        scores = {half: list(pair) for half, pair in given.items() if pair}
        if not scores and not note:
            raise UserError("Nothing to add: give --public, --private or --note.")
        remember(file.parent, (), scores, note, file.name)
    elif public or private or note:
        raise UserError("Which submission? Give its file: submit history FILE --public 0.7.")
    rows = merged(read_history())
    if not rows:
        return f"{HISTORY}: no submission yet."
    header = ["submission", "time", "rows of", "public", "private", "sha256", "note"]
    return aligned(header, [_row(record) for record in rows])


def read_history() -> list[dict[str, Any]]:
    """All records in the order they came; half-written lines are passed over with a note."""
    try:
        lines = HISTORY.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
            record["sha256"], record["file"], record["time"]
        except (ValueError, KeyError, TypeError):
            tell(f"{HISTORY}: line {number} is not whole and was passed over.")
        else:
            records.append(record)
    return records


def merged(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One record a submission (by its content): the first, with later scores and notes."""
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
        record["note"],
    )
