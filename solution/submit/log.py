"""`submit history`: a log of every submission, a copy of each file, and its scores."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from solution.core import (
    UserError,
    aligned,
    append_jsonl,
    atomic_write,
    read_jsonl,
    sha256_file,
)
from solution.submit.score import private_interval

SUBMISSIONS = Path("submissions")
HISTORY = SUBMISSIONS / "history.jsonl"
COPIES = SUBMISSIONS / "history"
Scores = Mapping[str, Sequence[int]]


def record_submission(
    file: Path, sources: Mapping[Path, str], scores: Scores, note: str = ""
) -> None:
    """Append a submission to the log and keep a copy of its file under its SHA-256.

    `sources` maps the files it was made from to the SHA-256 of what was read; `scores` has
    correct answers and rows of `public` and `private`, where known.
    """
    sha256 = sha256_file(file)
    copy = COPIES / f"{sha256}.csv"
    if not copy.exists():
        with atomic_write(copy) as partial:
            shutil.copyfile(file, partial)
    append_jsonl(
        HISTORY,
        {
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "file": str(file),
            "sha256": sha256,
            "sources": [{"file": str(s), "sha256": sha} for s, sha in sources.items()],
            "scores": dict(scores),
            "note": note,
        },
    )


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
        record_submission(file, {}, scores, note)
    rows = merge_records(read_jsonl(HISTORY))
    if not rows:
        return f"{HISTORY}: no submission yet."
    header = ["submission", "time", "rows of", "public", "private", "sha256", "note"]
    return aligned(header, [_row(record) for record in rows])


def merge_records(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one record per file content: the first, with later scores and notes."""
    found: dict[str, dict[str, Any]] = {}
    for record in records:
        known = found.setdefault(record["sha256"], {**record, "scores": {}, "note": ""})
        known["sources"] = known["sources"] or record["sources"]
        known["scores"] = known["scores"] | record["scores"]
        notes = [known["note"], record["note"]]
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
