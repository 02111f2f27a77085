"""A wiki to passages: one parquet shard for a number of pages, the manifest last.

The parent reads the source, worker processes render and cut the pages. A killed build continues
with the shards that are missing; the folder appears when all are there.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

from solution.core import Progress, UserError, atomic_write, fingerprint, log, write_json
from solution.kowiki.passages import COLUMNS, MANIFEST, Passage, cut_page
from solution.kowiki.sources import Page, Source, open_source, read_pages

VERSION = 2
"""Raised when the same page gives other passages: older builds are not continued."""
MAX_CHARS = 300
"""The length of a passage; chosen by the retrieval test in benchmarks/results/kowiki.md."""
MIN_PAGE_CHARS = 100
SHARD_CHARS = 4_000_000
"""Characters of source text in a shard; what a killed build repeats at most."""
SMALL = 2_000_000
"""Sources below this size are built in this process."""
LISTED_TEMPLATES = 50
_GROUPS = ("pages", "sections", "sentences", "templates")


class _Task(NamedTuple):
    pages: tuple[Page, ...]
    shard: Path
    size: int
    """How much of the source its pages take."""
    max_chars: int
    min_page_chars: int


def build(
    source: str,
    out: Path,
    *,
    max_chars: int = MAX_CHARS,
    min_page_chars: int = MIN_PAGE_CHARS,
    workers: int | None = None,
) -> Path:
    """Turn a wiki into parquet shards of passages in `out` and return it.

    Args:
        source: See `open_source`.
        out: The folder; a finished build of the same source and settings is reused.
        max_chars: The length of a passage in characters.
        min_page_chars: Pages whose sentences have fewer characters are left out.
        workers: Processes, by default one for each core.

    Raises:
        UserError: The source cannot be read, or `out` holds anything else.

    """
    opened = open_source(source)
    settings = {"max_chars": max_chars, "min_page_chars": min_page_chars, "version": VERSION}
    mark = fingerprint([opened.identity, settings])
    if out.exists():
        _check_same(out, mark)
        return out
    work = out.with_name(f".{out.name}.{mark[:8]}.work")
    work.mkdir(parents=True, exist_ok=True)
    faults: Counter[str] = Counter()
    tasks = _tasks(opened, work, faults, max_chars, min_page_chars)
    workers = 1 if opened.files and opened.size < SMALL else workers or os.cpu_count() or 1
    shards = _write_shards(tasks, opened, workers)
    manifest = _manifest(opened, settings, shards, faults)
    write_json(work / MANIFEST, {"fingerprint": mark, **manifest})
    if faults:
        listed = ", ".join(f"{reason}: {number}" for reason, number in faults.items())
        log(f"{opened.name}: some input could not be read, the rest was used. {listed}")
    work.rename(out)
    return out


def _check_same(out: Path, mark: str) -> None:
    try:
        found = json.loads((out / MANIFEST).read_text(encoding="utf-8"))["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{out}: exists but is not a wiki build. Give another --out.") from None
    if found != mark:
        raise UserError(
            f"{out}: a build of another source or other settings. Give another --out, or "
            "delete the folder."
        )
    log(f"{out}: reusing the finished build")


def _tasks(
    source: Source, work: Path, faults: Counter[str], max_chars: int, min_page_chars: int
) -> Iterator[_Task]:
    """Group the pages in their order; the same source gives the same groups."""
    pages: list[Page] = []
    number = chars = start = position = 0
    for position, page in read_pages(source, faults):
        pages.append(page)
        chars += len(page.text)
        if chars >= SHARD_CHARS:
            shard = work / f"passages-{number:05d}.parquet"
            yield _Task(tuple(pages), shard, position - start, max_chars, min_page_chars)
            pages, chars, start, number = [], 0, position, number + 1
    shard = work / f"passages-{number:05d}.parquet"
    yield _Task(tuple(pages), shard, position - start, max_chars, min_page_chars)


def _write_shards(tasks: Iterator[_Task], source: Source, workers: int) -> list[Path]:
    unit, scale = ("MB", 1_000_000) if source.files else ("pages", 1)
    progress = Progress("wiki", -(-source.size // scale), unit)
    shards, done, reused = [], 0, 0
    for task, was_there in _run(tasks, workers):
        shards.append(task.shard)
        reused += was_there
        done += task.size
        progress.advance(done // scale - progress.done)
    if reused:
        log(f"{reused} of {len(shards)} shards were finished before")
    return sorted(shards)


def _run(tasks: Iterator[_Task], workers: int) -> Iterator[tuple[_Task, bool]]:
    """Write the missing shards; yield each task when it is done, and whether it was before.

    Few tasks wait at a time, so that the memory stays flat however large the source is.
    """
    if workers == 1:
        for task in tasks:
            was_there = task.shard.exists()
            if not was_there:
                write_shard(task)
            yield task._replace(pages=()), was_there
        return
    pool = ProcessPoolExecutor(workers, get_context("spawn"))
    waiting: dict[Future[None], _Task] = {}
    try:
        for task in tasks:
            if task.shard.exists():
                yield task._replace(pages=()), True
                continue
            waiting[pool.submit(write_shard, task)] = task._replace(pages=())
            if len(waiting) > workers:
                yield from _finished(waiting)
        while waiting:
            yield from _finished(waiting)
    except BrokenProcessPool as error:
        raise UserError(
            "A worker process was killed, probably out of memory. Run the same command again "
            "with fewer --workers; finished shards are kept."
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _finished(waiting: dict[Future[None], _Task]) -> Iterator[tuple[_Task, bool]]:
    done, _ = wait(waiting, return_when=FIRST_COMPLETED)
    for future in done:
        task = waiting.pop(future)
        future.result()
        yield task, False


def write_shard(task: _Task) -> None:
    """Write the passages of some pages to a parquet file, with the counts in its metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    counts: dict[str, Counter[str]] = {group: Counter() for group in _GROUPS}
    rows: list[Passage] = []
    for page in task.pages:
        cut = cut_page(page, task.max_chars, task.min_page_chars)
        counts["pages"][f"left out: {cut.reason}" if cut.reason else "kept"] += 1
        for group, counter in cut.counts.items():
            counts[group].update(counter)
        rows += cut.passages
    date = max((page.date for page in task.pages), default="")
    about = json.dumps({"counts": counts, "date": date}, ensure_ascii=False)
    fields = [*((name, pa.string()) for name in COLUMNS), ("sentences", pa.list_(pa.string()))]
    schema = pa.schema(fields, metadata={"kowiki": about})
    columns = list(zip(*rows, strict=True)) or [()] * len(fields)
    arrays = [pa.array(list(c), f.type) for c, f in zip(columns, schema, strict=True)]
    with atomic_write(task.shard) as partial:
        pq.write_table(pa.table(arrays, schema=schema), partial, compression="zstd")


def _manifest(
    source: Source, settings: dict[str, int], shards: list[Path], faults: Counter[str]
) -> dict[str, Any]:
    import pyarrow.parquet as pq

    counts: dict[str, Counter[str]] = {group: Counter() for group in _GROUPS}
    dates, passages = [], 0
    for shard in shards:
        metadata = pq.read_metadata(shard)
        about = json.loads(metadata.metadata[b"kowiki"])
        passages += metadata.num_rows
        dates.append(about["date"])
        for group in _GROUPS:
            counts[group].update(about["counts"][group])
    counts["pages"].update(faults)
    if not passages:
        reasons = json.dumps(counts["pages"], ensure_ascii=False) if counts["pages"] else "none"
        raise UserError(f"{source.name}: no page with text was found (pages: {reasons}).")
    return {
        "snapshot": source.snapshot or max(dates) or None,
        "source": {"name": source.name, "size": source.size, "identity": source.identity},
        "settings": settings,
        "passages": passages,
        "pages": dict(sorted(counts["pages"].items())),
        "sections_left_out": dict(counts["sections"].most_common()),
        "sentences_left_out": dict(counts["sentences"].most_common()),
        "templates_without_reading": dict(counts["templates"].most_common(LISTED_TEMPLATES)),
        "shards": [shard.name for shard in shards],
    }
