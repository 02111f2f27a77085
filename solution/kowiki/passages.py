"""The passage: a few whole sentences of an article; reading what `build` wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from solution.core import UserError, sha256_file

MANIFEST = "manifest.json"
COLUMNS = ("passage_id", "page_id", "title", "section", "text")
BUILD = "Make it with `./run.sh kowiki build SOURCE --out DIR`."


class Passage(NamedTuple):
    """Whole sentences of one section of one article; `section` is '' for its introduction."""

    passage_id: str
    page_id: str
    title: str
    section: str
    """The path of headings, such as `역사 > 고대`."""
    text: str

    @property
    def heading(self) -> str:
        """Where the text stands: the title and the path of headings."""
        return " > ".join(filter(None, (self.title, self.section)))

    @property
    def titled(self) -> str:
        """The text with its heading in front, as it is indexed and shown to a model."""
        return ": ".join(filter(None, (self.heading, self.text)))


def read_manifest(folder: Path) -> dict[str, Any]:
    """What `build` says of its passages: source, snapshot, settings, counts, shards.

    Raises UserError where the folder holds no finished build.
    """
    path = folder / MANIFEST
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"{folder}: no finished wiki build ({MANIFEST} missing). {BUILD}"
        ) from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {error}. {BUILD}") from error
    if not isinstance(value, dict) or not isinstance(value.get("shards"), list):
        raise UserError(f"{path}: not the manifest of a wiki build. {BUILD}")
    return value


def build_digest(folder: Path) -> str:
    """The SHA-256 of a build's manifest, which names its source and settings.

    Raises UserError where the folder holds no finished build.
    """
    read_manifest(folder)
    return sha256_file(folder / MANIFEST)


def read_passages(folder: Path) -> Iterator[Passage]:
    """All passages of a finished build, in its order, a few thousand in memory at a time.

    Raises UserError where the folder holds no finished build or a shard is missing.
    """
    import pyarrow.parquet as pq

    for name in read_manifest(folder)["shards"]:
        try:
            with pq.ParquetFile(folder / name) as shard:
                for batch in shard.iter_batches(batch_size=4096, columns=list(COLUMNS)):
                    columns = [batch.column(column).to_pylist() for column in COLUMNS]
                    yield from map(Passage, *columns)
        except (OSError, ValueError) as error:
            raise UserError(f"{folder / name}: cannot be read: {error}. {BUILD}") from error
