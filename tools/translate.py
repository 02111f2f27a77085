"""Draws rows of CoT-Collection and translates them into Korean, as KoCoT_2000 was made.

python -m tools.translate [SOURCE] [--rows N] [--by deepl|MODEL]
"""

from __future__ import annotations

import argparse
import hashlib
import heapq
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from solution.core import (
    Progress,
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
from tools.translators import TranslationError, Translator, deepl_translator, model_translator

TEXTS = ("source", "rationale", "target")
ROWS, FAILED, JOURNAL = "rows.jsonl", "failed.jsonl", "journal.jsonl"
Row = dict[str, Any]


def main() -> int:
    """Run the command; return 2 for a user error."""
    parser = argparse.ArgumentParser(prog="python -m tools.translate", description=__doc__)
    parser.add_argument("source", nargs="?", default="kaist-ai/CoT-Collection")
    parser.add_argument("--rows", type=int, default=2000, help="rows to draw (2000)")
    parser.add_argument(
        "--by", default="deepl", help="deepl (DEEPL_AUTH_KEY) or a seq2seq model"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the draw")
    parser.add_argument("--out", type=Path, help="folder of the run")
    options = parser.parse_args()
    out = options.out or Path("runs") / "translate" / f"kocot-{options.rows}"
    try:
        print(translate(options.source, options.rows, options.by, out, options.seed))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def translate(source: str, rows: int, by: str, out: Path, seed: int) -> str:
    """Write a run with rows.jsonl, which recipes read, and failed.jsonl with reasons.

    Every finished row is kept, so that an interruption costs nothing twice. Raises UserError
    for the source, the translator, and where no row could be translated.
    """
    local = resolve_path(source)
    digest = sha256_file(local) if local.is_file() else None
    inputs: dict[str, Any] = {"command": "translate", "source": source, "sha256": digest}
    inputs |= {"rows": rows, "seed": seed, "by": by}
    if by != "deepl":
        inputs["weights"] = weights_fingerprint(ModelReference(model=by))
    if not find_run(out, inputs).finished:
        # Before a folder is made or anything large is read.
        translator = deepl_translator() if by == "deepl" else model_translator(by)
        run = open_run(out, inputs)
        drawn = draw(source, rows, seed)
        done = {row["id"]: row for row in read_jsonl(run.work / JOURNAL)}
        todo = [row for row in drawn if row["id"] not in done]
        letters = sum(len(row[key]) for row in todo for key in TEXTS)
        log(f"{len(todo)} of {rows} rows to translate, {letters:,} characters.")
        progress = Progress("translate", len(todo), "rows")
        for row in todo:
            done[row["id"]] = _translated(row, translator)
            append_jsonl(run.work / JOURNAL, done[row["id"]])
            progress.advance()
        results = [done[row["id"]] for row in drawn]
        reasons = Counter(row["error"] for row in results if "error" in row)
        if reasons.total() == rows:
            raise UserError(f"no row could be translated ({max(reasons)}). Take another --by.")
        write_jsonl(run.work / ROWS, (row for row in results if "error" not in row))
        write_jsonl(run.work / FAILED, (row for row in results if "error" in row))
        (run.work / JOURNAL).unlink()
        run.finalize({"translated": rows - reasons.total(), "failed": dict(reasons)})
    failed = Counter(row["error"] for row in read_jsonl(out / FAILED))
    lines = [f"{out / ROWS}: {rows - failed.total()} rows, {failed.total()} failed"]
    lines += [f"  {count} {reason}" for reason, count in failed.items()]
    data = f"[{{source: {out / ROWS}, template: cot-ko}}]"
    command = f"./run.sh finetune --recipe cot-llama2-2k-7b --set 'data.instructions={data}'"
    return "\n".join([*lines, "", f"Next: {command}"])


def draw(source: str, number: int, seed: int) -> list[Row]:
    """Draw rows of the whole set, each equally likely; their order depends on the seed alone.

    Rows without a question or an answer and duplicates do not count. Raises UserError for
    another layout or too few rows.
    """
    drawn = heapq.nsmallest(number, _ranked(source, seed), key=lambda pair: pair[0])
    if number < 1 or len(drawn) < number:
        raise UserError(f"{source}: has {len(drawn)} rows, not {number}. Change --rows.")
    return [row for _, row in drawn]


def _ranked(source: str, seed: int) -> Iterator[tuple[bytes, Row]]:
    seen: set[bytes] = set()
    for number, keys in enumerate(iter_rows(source), start=1):
        if not set(TEXTS) <= keys.keys():
            raise UserError(
                f"{source} row {number}: needs the keys {', '.join(TEXTS)} of CoT-Collection."
            )
        texts = {key: str(keys[key] or "").strip() for key in TEXTS}
        digest = hashlib.sha256("\0".join(texts.values()).encode()).digest()[:16]
        if texts["source"] and texts["target"] and digest not in seen:
            seen.add(digest)
            row = {
                "id": digest.hex(),
                **texts,
                "task": str(keys.get("task") or ""),
                "type": "CoT",
            }
            yield hashlib.sha256(f"{seed}\0".encode() + digest).digest(), row


def _translated(row: Row, translator: Translator) -> Row:
    try:
        return row | {key: translator.translate(row[key]) for key in TEXTS}
    except TranslationError as error:
        return {**row, "error": str(error)}


if __name__ == "__main__":
    sys.exit(main())
