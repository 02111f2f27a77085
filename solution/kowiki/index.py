"""Search over passages: bm25s on character bigrams of words, opened by memory map."""

from __future__ import annotations

import json
import logging
import re
import shutil
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from solution.core import Progress, UserError, atomic_directory, write_json
from solution.kowiki.passages import COLUMNS, Passage, read_manifest, read_passages

K1, B = 0.6, 0.4
"""Chosen by the retrieval test in benchmarks/results/kowiki.md."""
VERSION = 2
_ABOUT, _TEXTS = "index.json", "passages.arrow"
_BATCH = 4096
_WORD = re.compile(r"[^\W_]+")


class Hit(NamedTuple):
    """One passage that was found, and its score (higher is better)."""

    passage: Passage
    score: float


class Index:
    """An open index; its arrays and texts stay on disk and are mapped into memory."""

    def __init__(self, folder: Path) -> None:
        import bm25s
        import pyarrow as pa

        logging.getLogger("bm25s").setLevel(logging.WARNING)
        self._bm25 = bm25s.BM25.load(folder, mmap=True, show_progress=False)
        self._texts = pa.ipc.open_file(pa.memory_map(str(folder / _TEXTS)))
        self.passages: int = self._bm25.scores["num_docs"]

    def search(self, queries: Sequence[str], top_k: int) -> list[list[Hit]]:
        """Return the `top_k` best passages of each query, best first; all share a bigram."""
        found = [self._best(query, top_k) for query in queries]
        return [[Hit(self.passage(row), score) for row, score in rows] for rows in found]

    def passage(self, row: int) -> Passage:
        """Return the passage at this position of the build, from 0, without its sentences."""
        batch = self._texts.get_batch(row // _BATCH)
        return Passage(*(batch.column(name)[row % _BATCH].as_py() for name in COLUMNS))

    def _best(self, query: str, top_k: int) -> list[tuple[int, float]]:
        tokens = self._bm25.get_tokens_ids(bigrams(query))
        if not tokens or top_k < 1:
            return []
        scores = self._bm25.get_scores_from_ids(tokens)
        top_k = min(top_k, self.passages)
        least = np.partition(scores, -top_k)[-top_k]
        rows = np.flatnonzero(scores >= max(least, np.finfo(np.float32).tiny))
        order = np.lexsort((rows, -scores[rows]))[:top_k]  # ties in the order of the build
        return [(int(row), float(scores[row])) for row in rows[order]]


def bigrams(text: str) -> list[str]:
    """Split each word into its character bigrams; the first pairs a blank with its start.

    The blank marks where words begin, which is worth 1 to 2 points of recall.
    """
    words = (f" {word}" for word in _WORD.findall(text.lower()))
    return [word[i : i + 2] for word in words for i in range(len(word) - 1)]


def open_index(folder: Path) -> Index:
    """Open the index of a finished build, made on first use.

    Raises UserError where the folder holds no finished build or the index cannot be written.
    """
    manifest = read_manifest(folder)
    place = folder / "index"
    mark = [manifest["fingerprint"], VERSION, K1, B]
    if _mark(place) != mark:
        try:
            write_index(read_passages(folder), manifest["passages"], place, mark=mark)
        except OSError as error:
            raise UserError(
                f"{place}: the index cannot be written: {error.strerror}."
            ) from error
    return Index(place)


def write_index(
    passages: Iterable[Passage],
    total: int,
    place: Path,
    *,
    k1: float = K1,
    b: float = B,
    mark: Any = None,
) -> None:
    """Write the index of `total` passages to `place`; the folder appears when complete."""
    import bm25s

    logging.getLogger("bm25s").setLevel(logging.WARNING)
    with atomic_directory(place) as work:
        vocabulary: dict[str, int] = {}
        tokens = list(_tokens(passages, total, work, vocabulary))
        if not vocabulary:
            raise UserError("No passage contains a word, so there is nothing to search.")
        bm25 = bm25s.BM25(k1=k1, b=b, method="lucene")
        bm25.index((tokens, vocabulary), create_empty_token=False, show_progress=False)
        bm25.save(work, show_progress=False)
        write_json(work / _ABOUT, {"mark": mark})


def search(query: str, folder: Path, top_k: int, as_json: bool) -> str:
    """Return the `top_k` best passages for a query as a table or as JSON lines."""
    if not query.strip():
        raise UserError("The query is empty. Give some words to search for.")
    [hits] = open_index(folder).search([query], top_k)
    if as_json:
        return "\n".join(json.dumps(_row(hit), ensure_ascii=False) for hit in hits)
    if not hits:
        return "No passage shares a bigram with the query."
    width = max(shutil.get_terminal_size().columns, 60)
    lines = []
    for hit in hits:
        text = f"{hit.score:7.2f}  {hit.passage.titled}"
        lines.append(text if len(text) * 2 <= width else text[: width // 2 + 5] + "…")
    return "\n".join(["  score  passage", *lines])


def _row(hit: Hit) -> dict[str, object]:
    values = dict(zip(COLUMNS, hit.passage, strict=False))
    return {"score": round(hit.score, 4), **values}


def _mark(place: Path) -> Any:
    try:
        return json.loads((place / _ABOUT).read_text(encoding="utf-8"))["mark"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _tokens(
    passages: Iterable[Passage], total: int, work: Path, vocabulary: dict[str, int]
) -> Iterator[Any]:
    """Yield the token ids of each passage, and write the texts to where rows can be read."""
    import pyarrow as pa

    schema = pa.schema([(column, pa.string()) for column in COLUMNS])
    progress = Progress("index", total, "passages")
    rows = iter(passages)
    with pa.OSFile(str(work / _TEXTS), "wb") as sink, pa.ipc.new_file(sink, schema) as file:
        while batch := list(islice(rows, _BATCH)):
            columns = list(map(list, zip(*batch, strict=True)))[: len(COLUMNS)]
            file.write_batch(pa.record_batch(columns, schema=schema))
            for passage in batch:
                tokens = bigrams(passage.titled)
                ids = (vocabulary.setdefault(token, len(vocabulary)) for token in tokens)
                yield np.frombuffer(array("i", ids), dtype=np.int32)
            progress.advance(len(batch))
