"""Rows of CoT-Collection drawn and translated into Korean, as KoCoT_2000 was made."""

from __future__ import annotations

import hashlib
import heapq
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from solution.core import (
    Progress,
    Run,
    UserError,
    append_jsonl,
    find_run,
    log,
    open_run,
    read_jsonl,
    resolve_path,
    sha256_file,
    write_jsonl,
)
from solution.finetune.instruction_data import iter_rows
from solution.models import ModelReference, weights_fingerprint
from tools.translate.protect import Lost, check_kept, has_words, hidden, restored
from tools.translate.translators import DEEPL, Translator, translator

TEXTS = ("source", "rationale", "target")
ROWS, FAILED, DRAWN, JOURNAL = "rows.jsonl", "failed.jsonl", "drawn.jsonl", "journal.jsonl"
FEW_WORDS = 4  # a name may stay as it is
Row = dict[str, Any]


def translate(source: str, rows: int, by: str, out: Path, seed: int) -> str:
    """Draw `rows` rows of a set in CoT-Collection's layout and translate them into Korean.

    Leaves a run with rows.jsonl, which recipes read, failed.jsonl with a reason a row, and the
    counts; says how to train on it. Every row is kept at once, so that the same command goes on
    where an interrupted one was and pays for nothing twice. Raises UserError as the reader and
    the translator do, and where no row could be translated.
    """
    if rows < 1:
        raise UserError(f"--rows {rows}: give how many rows to draw, 1 or more.")
    local = resolve_path(source)
    digest = sha256_file(local) if local.is_file() else None
    inputs: dict[str, Any] = {"command": "translate", "source": source, "sha256": digest}
    inputs |= {"rows": rows, "seed": seed, "by": by}
    if by != DEEPL:
        inputs["weights"] = weights_fingerprint(ModelReference(model=by))
    # What the translator lacks is said before a folder is made or anything large is fetched.
    ready = None if find_run(out, inputs).finished else translator(by)
    run = open_run(out, inputs)
    if run.finished or ready is None:
        log(f"{out}: finished before with the same inputs, used again.")
    else:
        try:
            _work(run, source, rows, ready, seed)
        finally:
            with suppress(OSError):  # else it holds what the same command goes on from
                run.work.rmdir()
    counts = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    return _told(out, counts)


def draw(source: str, number: int, seed: int) -> list[Row]:
    """`number` rows of the whole set, each equally likely, in an order drawn too.

    One pass, and no more memory than what is kept; rows without a question or an answer and
    duplicates don't count. Raises UserError for another layout or fewer rows than asked for.
    """
    drawn = heapq.nsmallest(number, _ranked(source, seed), key=_rank)
    if len(drawn) < number:
        raise UserError(f"{source}: has {len(drawn)} rows, not {number}. Lower --rows.")
    return [row for _, row in drawn]


def translated(row: Row, by: Translator) -> Row:
    """The row in Korean. Raises Lost where a number, a placeholder or a whole text is."""
    found = dict(row)
    for key in TEXTS:
        parts = by.boundary.split(row[key])
        places = [i for i in range(0, len(parts), 2) if has_words(parts[i])]
        for place, text in zip(places, _pieces([parts[i] for i in places], by), strict=True):
            parts[place] = text
        found[key] = "".join(parts)
    return found


def _work(run: Run, source: str, rows: int, by: Translator, seed: int) -> None:
    drawn = _drawn(run.work / DRAWN, source, rows, seed)
    done = {row["id"]: row for row in read_jsonl(run.work / JOURNAL)}
    todo = [row for row in drawn if row["id"] not in done]
    if todo:
        letters = sum(len(row[key]) for row in todo for key in TEXTS)
        log(f"{len(todo)} of {len(drawn)} rows to translate, {letters:,} characters.")
        done |= _translate_all(todo, by, run.work / JOURNAL)
    faults = Counter(row["fault"] for row in done.values() if "fault" in row)
    if len(done) == faults.total():
        raise UserError(
            f"no row could be translated ({faults.most_common(1)[0][0]}). Take another --by."
        )
    ordered = [done[row["id"]] for row in drawn]
    write_jsonl(run.work / ROWS, (row for row in ordered if "fault" not in row))
    write_jsonl(run.work / FAILED, (row for row in ordered if "fault" in row))
    for name in (DRAWN, JOURNAL):
        (run.work / name).unlink()
    translated_rows = len(done) - faults.total()
    run.finalize({"drawn": rows, "translated": translated_rows, "failed": dict(faults)})


def _translate_all(todo: list[Row], by: Translator, journal: Path) -> dict[str, Row]:
    done = {}
    progress = Progress("translate", len(todo), "rows")
    for row in todo:
        try:
            found = translated(row, by)
        except Lost as error:
            found = {**row, "fault": str(error)}
        done[row["id"]] = found
        append_jsonl(journal, found)
        progress.advance()
    return done


def _pieces(texts: list[str], by: Translator) -> list[str]:
    if not texts:
        return []
    masked = [hidden(text, by.marks) for text in texts]
    found = by.translate([text for text, _ in masked])
    whole = []
    for text, (_, kept), made in zip(texts, masked, found, strict=True):
        try:
            one = restored(made, kept, by.marks)
        except Lost:
            if not (by.plainly and kept):
                raise
            (one,) = by.translate([text])
        check_kept(text, one)
        if not one.strip():
            raise Lost("a text came back empty")
        if one == text and len(text.split()) > FEW_WORDS:
            raise Lost("a text came back in English")
        whole.append(one)
    return whole


def _ranked(source: str, seed: int) -> Iterator[tuple[int, Row]]:
    seen: set[bytes] = set()
    for number, keys in enumerate(iter_rows(source), start=1):
        if not set(TEXTS) <= keys.keys():
            raise UserError(
                f"{source} row {number}: needs the keys {', '.join(TEXTS)} of CoT-Collection."
            )
        texts = {key: str(keys[key] or "").strip() for key in TEXTS}
        whole = "\0".join(texts.values()).encode()
        mark = hashlib.sha256(whole).digest()[:16]
        if not texts["source"] or not texts["target"] or mark in seen:
            continue
        seen.add(mark)
        rank = hashlib.sha256(f"{seed}\0".encode() + mark).digest()[:8]
        row = {"id": mark.hex(), **texts, "task": str(keys.get("task") or ""), "type": "CoT"}
        yield int.from_bytes(rank, "big"), row


def _rank(pair: tuple[int, Row]) -> int:
    return pair[0]


def _drawn(path: Path, source: str, rows: int, seed: int) -> list[Row]:
    """What an interrupted run drew, else drawn now: a pass over 2.4 GB takes its minutes."""
    if not path.is_file():
        log(f"Drawing {rows} rows of {source}.")
        write_jsonl(path, draw(source, rows, seed))
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def _told(out: Path, counts: dict[str, Any]) -> str:
    failed = sum(counts["failed"].values())
    lines = [f"{out / ROWS}: {counts['translated']} rows, {failed} failed"]
    lines += [f"  {count} {reason}" for reason, count in counts["failed"].items()]
    told = f"[{{source: {out / ROWS}, template: cot-ko}}]"
    command = f"./run.sh finetune --recipe cot-llama2-2k-7b --set 'data.instructions={told}'"
    return "\n".join([*lines, "", f"Next: {command}"])
