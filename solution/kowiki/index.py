"""Passages to an index that is searched from disk: bm25s over bigrams, words or morphemes."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from solution.core import Progress, UserError, atomic_directory, write_json
from solution.kowiki.analyse import Analyser, Tokens, analyse
from solution.kowiki.passages import COLUMNS, Passage, read_manifest, read_passages
from solution.kowiki.postings import BATCH, count, write

# Chosen by the retrieval test in docs/kowiki.md.
K1, B = 0.6, 0.4
VERSION = 1
_ABOUT = "index.json"


class Hit(NamedTuple):
    """One passage that was found, and its score (higher is nearer)."""

    passage: Passage
    score: float


class Index:
    """An open index: its arrays and texts stay on disk and are mapped into memory."""

    def __init__(self, folder: Path, analyser: Analyser) -> None:
        import bm25s
        import pyarrow as pa

        logging.getLogger("bm25s").setLevel(logging.WARNING)
        about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
        self.passages: int = about["passages"]
        self._analyser: Analyser = analyser
        self._vocabulary = np.load(folder / "vocabulary.npy", mmap_mode="r")
        self._bm25 = bm25s.BM25(k1=about["k1"], b=about["b"], method="lucene")
        self._bm25.nonoccurrence_array = None
        self._bm25.load_scores(folder, num_docs=self.passages, mmap=True)
        self._texts = pa.ipc.open_file(pa.memory_map(str(folder / "passages.arrow")))

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """The `k` best passages of each query, best first; all share a token with it."""
        found = [self._best(query, k) for query in queries]
        return [[Hit(self.passage(row), score) for row, score in rows] for rows in found]

    def passage(self, row: int) -> Passage:
        """The passage in this place of the build, from 0."""
        batch = self._texts.get_batch(row // BATCH)
        return Passage(*(batch.column(name)[row % BATCH].as_py() for name in COLUMNS))

    def _columns(self, query: str) -> np.ndarray:
        codes, _ = analyse([query], self._analyser)
        places = np.minimum(np.searchsorted(self._vocabulary, codes), len(self._vocabulary) - 1)
        return np.asarray(places[self._vocabulary[places] == codes])

    def _best(self, query: str, k: int) -> list[tuple[int, float]]:
        columns = self._columns(query)
        if not len(columns) or k < 1:
            return []
        scores = self._bm25.get_scores_from_ids(columns)
        k = min(k, self.passages)
        least = np.partition(scores, -k)[-k]
        rows = np.flatnonzero(scores >= max(least, np.finfo(np.float32).tiny))
        order = np.lexsort((rows, -scores[rows]))[:k]  # equal scores in the order of the build
        return [(int(row), float(scores[row])) for row in rows[order]]


def open_index(folder: Path, analyser: Analyser = "bigrams") -> Index:
    """The index of a finished build, made on first use (once a build and analyser).

    Raises UserError where the folder holds no finished build or the index can't be written.
    """
    manifest = read_manifest(folder)
    place = folder / f"index-{analyser}"
    mark = [manifest["fingerprint"], VERSION, K1, B]
    if _mark(place) != mark:
        try:
            total = manifest["passages"]
            write_index(read_passages(folder), total, place, analyser, mark=mark)
        except OSError as error:
            raise UserError(
                f"{place}: the index can't be written: {error.strerror}."
            ) from error
    return Index(place, analyser)


def _mark(place: Path) -> Any:
    try:
        return json.loads((place / _ABOUT).read_text(encoding="utf-8"))["mark"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_index(
    passages: Iterable[Passage],
    total: int,
    place: Path,
    analyser: Analyser,
    *,
    k1: float = K1,
    b: float = B,
    mark: Any = None,
) -> None:
    """Write the index of any passages (`total` of them) to the folder `place`, whole or not."""
    with atomic_directory(place) as work:
        parts = work / "parts"
        parts.mkdir()
        counted = count(_batches(passages, total, work, analyser), parts)
        write(counted, parts, work, k1, b)
        shutil.rmtree(parts)
        about = {"passages": len(counted.lengths), "k1": k1, "b": b, "mark": mark}
        write_json(work / _ABOUT, about)


def _batches(
    passages: Iterable[Passage], total: int, work: Path, analyser: Analyser
) -> Iterator[Tokens]:
    """The tokens of each batch, whose texts are kept where they can be read by row."""
    import pyarrow as pa

    schema = pa.schema([(column, pa.string()) for column in COLUMNS])
    progress = Progress(f"index of {analyser}", total, "passages")
    path, rows = str(work / "passages.arrow"), iter(passages)
    with pa.OSFile(path, "wb") as sink, pa.ipc.new_file(sink, schema) as file:
        while batch := list(islice(rows, BATCH)):
            columns = list(map(list, zip(*batch, strict=True)))
            file.write_batch(pa.record_batch(columns, schema=schema))
            yield analyse([passage.titled for passage in batch], analyser)
            progress.advance(len(batch))
