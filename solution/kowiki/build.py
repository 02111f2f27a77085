"""Dump to passages: one shard a part of the source, the manifest last.

A killed build goes on with the shards that are missing; the folder appears when all are there.
"""

from __future__ import annotations

import gc
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from solution.core import Progress, UserError, atomic_write, fingerprint, log, write_json
from solution.kowiki.pages import Page, cut_pages
from solution.kowiki.passages import COLUMNS, MANIFEST, Passage
from solution.kowiki.source import Part, Source, open_source, read_part

# A change of what passages are made of one page raises it: older builds are not gone on with.
VERSION = 1
# Chosen by the retrieval test in docs/kowiki.md.
LENGTH = 300
SHORTEST = 100
_ROWS = 4096
# Characters of wikitext that go through each stage together.
_BATCH = 1 << 18
_MEGABYTE = 1_000_000


class _Task(NamedTuple):
    part: Part
    shard: Path
    length: int
    shortest: int


def build(
    source: str,
    out: Path,
    *,
    length: int = LENGTH,
    shortest: int = SHORTEST,
    workers: int | None = None,
) -> Path:
    """Turn a wiki into parquet shards of passages in `out`; return it, finished.

    `source`: see `open_source`. `length`: a passage's longest, `shortest`: a page's least, both
    in characters. `workers`: processes, by default one a core. The same source and settings
    find a finished build and reuse it. Raises UserError where the source can't be read, or
    `out` holds anything else.
    """
    opened = open_source(source)
    settings = {"length": length, "shortest": shortest, "version": VERSION}
    mark = fingerprint([opened.description["identity"], settings])
    if out.exists():
        _check_same(out, mark)
        return out
    work = out.with_name(f".{out.name}.{mark[:8]}.work")
    work.mkdir(parents=True, exist_ok=True)
    tasks = [
        _Task(part, work / f"passages-{number:05d}.parquet", length, shortest)
        for number, part in enumerate(opened.parts)
    ]
    _write_shards(tasks, workers or os.cpu_count() or 1)
    manifest = _manifest(opened, settings, [task.shard for task in tasks])
    write_json(work / MANIFEST, {"fingerprint": mark, **manifest})
    _tell(manifest["pages"])
    work.rename(out)
    return out


def _check_same(out: Path, mark: str) -> None:
    try:
        found = json.loads((out / MANIFEST).read_text(encoding="utf-8"))["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(
            f"{out}: stands there and is no wiki build. Give another --out."
        ) from None
    if found != mark:
        raise UserError(
            f"{out}: a build of another source or other settings. Give another --out, or "
            "remove the folder to build anew."
        )
    log(f"{out}: this build is there already")


def _write_shards(tasks: list[_Task], workers: int) -> None:
    missing = [task for task in tasks if not task.shard.exists()]
    if len(missing) < len(tasks):
        log(f"goes on after {len(tasks) - len(missing)} of {len(tasks)} shards")
    total = sum(task.part.size for task in missing)
    progress = Progress("wiki", -(-total // _MEGABYTE), "MB")
    done = 0
    for task in _run(missing, min(workers, len(missing))):
        done += task.part.size
        progress.advance(-(-done // _MEGABYTE) - progress.done)


def _run(tasks: list[_Task], workers: int) -> Iterator[_Task]:
    """Write each shard; yield each task when it is done, in no order."""
    if workers <= 1:
        for task in tasks:
            _write_shard(task)
            yield task
        return
    from concurrent.futures import as_completed
    from multiprocessing import get_context

    with ExitStack() as stack:
        pool = ProcessPoolExecutor(workers, get_context("spawn"))
        # On Ctrl-C or a fault no further shard is begun.
        stack.callback(pool.shutdown, wait=True, cancel_futures=True)
        futures = {pool.submit(_write_shard, task): task for task in tasks}
        try:
            for future in as_completed(futures):
                future.result()
                yield futures[future]
        except BrokenProcessPool as error:
            raise UserError(
                "A worker process was ended from outside, most often for want of memory. Run "
                "the same command again with --workers 1; finished shards are kept."
            ) from error


def _write_shard(task: _Task) -> None:
    """The passages of one part to one parquet file, its counts in the file's metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(column, pa.string()) for column in COLUMNS])
    counts: Counter[str] = Counter()
    rows: list[Passage] = []
    date = ""
    with _no_collector(), atomic_write(task.shard) as partial:
        # What repeats is packed as well without dictionaries, and faster.
        writer = pq.ParquetWriter(partial, schema, compression="zstd", use_dictionary=False)
        with writer:
            for pages in _batches(read_part(task.part, counts)):
                date = max(date, *(page.date for page in pages))
                for cut in cut_pages(pages, task.length, task.shortest):
                    counts[f"left out: {cut.reason}" if cut.reason else "kept"] += 1
                    counts["finished by the parser"] += cut.parsed
                    rows += cut.passages
                if len(rows) >= _ROWS:
                    _write_rows(writer, schema, rows, counts)
                    rows = []
            _write_rows(writer, schema, rows, counts)
            told = {"counts": dict(+counts), "date": date}
            writer.add_key_value_metadata({"kowiki": json.dumps(told, ensure_ascii=False)})


@contextmanager
def _no_collector() -> Iterator[None]:
    """Without Python's search for cycles, a twentieth of the time: there are hardly any."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def _batches(pages: Iterable[Page]) -> Iterator[list[Page]]:
    """The pages in order, together as long as they are short."""
    batch: list[Page] = []
    size = 0
    for page in pages:
        batch.append(page)
        size += len(page.text)
        if size >= _BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _write_rows(writer: Any, schema: Any, rows: list[Passage], counts: Counter[str]) -> None:
    import pyarrow as pa

    counts["passages"] += len(rows)
    counts["characters"] += sum(len(row.text) for row in rows)
    columns = zip(*rows, strict=True) if rows else [()] * len(COLUMNS)
    writer.write_table(pa.table([_strings(column) for column in columns], schema=schema))


def _strings(values: Sequence[str]) -> Any:
    """What `pa.array` gives of strings; that would import pandas, for a second."""
    import numpy as np
    import pyarrow as pa

    encoded = [value.encode() for value in values]
    offsets = np.zeros(len(encoded) + 1, np.int32)
    np.cumsum([len(value) for value in encoded], out=offsets[1:])
    data = pa.py_buffer(b"".join(encoded))
    return pa.StringArray.from_buffers(len(encoded), pa.py_buffer(offsets), data)


def _manifest(source: Source, settings: dict[str, int], shards: list[Path]) -> dict[str, Any]:
    import pyarrow.parquet as pq

    counts: Counter[str] = Counter()
    dates = []
    for shard in shards:
        told = json.loads(pq.read_metadata(shard).metadata[b"kowiki"])
        counts += Counter(told["counts"])
        dates.append(told["date"])
    passages, characters = counts.pop("passages", 0), counts.pop("characters", 0)
    if not passages:
        raise UserError(
            f"{source.description['name']}: no page with text in it was found "
            f"({json.dumps(counts, ensure_ascii=False) if counts else 'no page at all'})."
        )
    return {
        "snapshot": source.snapshot or max(dates) or None,
        "source": source.description,
        "settings": settings,
        "passages": passages,
        "characters": characters,
        "pages": dict(sorted(counts.items())),
        "shards": [shard.name for shard in shards],
    }


def _tell(pages: dict[str, int]) -> None:
    """What was lost to faults of the source, plainly."""
    ordinary = ("kept", "finished by the parser", "left out: ")
    faults = {reason: n for reason, n in pages.items() if not reason.startswith(ordinary)}
    if faults:
        listed = ", ".join(f"{reason}: {number}" for reason, number in faults.items())
        log(f"The source has faults; the rest was read. {listed}")
