"""Scores on disk: each is computed once, and never used for another model."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from solution.core import UserError, fingerprint
from solution.models import weights_fingerprint
from solution.scoring.tree_support import attention_path

if TYPE_CHECKING:
    from solution.models import LoadedModel

Item = TypeVar("Item")

# Increased whenever the scorer may give other numbers for the same tokens.
SCORER_VERSION = 4
# Keys per query; SQLite allows some thousands.
QUERY_KEYS = 500


class ScoreCache:
    """JSON values in one SQLite file, separated by what computed them.

    `made_by` holds everything but the tokens that decides a value (see `open_score_cache`).
    A row's tokens stand for its content and its prompt's template, so that a changed row is
    another row, and the other rows keep their values.
    """

    def __init__(self, path: Path, made_by: Mapping[str, Any]) -> None:
        self.path = path
        self.scope = fingerprint({"made_by": made_by, "scorer": SCORER_VERSION})
        with self._open() as connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS scores "
                "(scope TEXT, row TEXT, value TEXT, PRIMARY KEY (scope, row)) WITHOUT ROWID"
            )
            connection.commit()

    @staticmethod
    def key(tokens: Any) -> str:
        """Return the key of what decides a value, any JSON."""
        return hashlib.sha256(json.dumps(tokens).encode()).hexdigest()

    def read(self, keys: Sequence[str]) -> dict[str, Any]:
        """Return the values of those keys that are stored."""
        found: dict[str, Any] = {}
        with self._open() as connection:
            for first in range(0, len(keys), QUERY_KEYS):
                some = keys[first : first + QUERY_KEYS]
                marks = ",".join("?" * len(some))
                query = f"SELECT row, value FROM scores WHERE scope = ? AND row IN ({marks})"
                rows = connection.execute(query, (self.scope, *some))
                found |= {row: json.loads(value) for row, value in rows}
        return found

    def write(self, values: Mapping[str, Any]) -> None:
        """Store values by key in one transaction: all of them or none."""
        rows = [(self.scope, key, json.dumps(value)) for key, value in values.items()]
        with self._open() as connection, connection:
            connection.executemany("INSERT OR REPLACE INTO scores VALUES (?, ?, ?)", rows)

    def fill(
        self,
        items: Sequence[Item],
        tokens: Callable[[Item], Any],
        compute: Callable[[list[Item]], list[Any]],
    ) -> list[Any]:
        """Return a value per item, in order; `compute` is called for those not stored.

        `tokens` gives what decides an item's value; values are JSON.
        """
        keys = [self.key(tokens(item)) for item in items]
        known = self.read(keys)
        missing = {key: item for key, item in zip(keys, items, strict=True) if key not in known}
        if missing:
            found = dict(zip(missing, compute(list(missing.values())), strict=True))
            self.write(found)
            known |= found
        return [known[key] for key in keys]

    def _open(self) -> closing[sqlite3.Connection]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self.path, timeout=60)
            connection.execute("PRAGMA schema_version")  # reads the file: is it a database?
        except (OSError, sqlite3.DatabaseError) as error:
            raise UserError(
                f"{self.path}: not usable as the score cache ({error}). Delete the file."
            ) from error
        return closing(connection)


def open_score_cache(
    path: Path, loaded: LoadedModel, weights: Mapping[str, str] | None = None
) -> ScoreCache:
    """Open the score cache at `path` for a loaded model.

    The key holds the hashes of its files (`weights`, computed where None), how it is loaded,
    the device type, the attention path, and the versions of the libraries that compute.
    """
    versions = {}
    for package in ("torch", "transformers", "bitsandbytes", "peft"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "absent"
    reference = loaded.reference
    made_by = {
        "weights": weights if weights is not None else weights_fingerprint(reference),
        "quantization": reference.quantization,
        "dtype": loaded.dtype,
        "device": str(loaded.device).partition(":")[0],
        "attention": attention_path(loaded.model),
        "versions": versions,
    }
    return ScoreCache(path, made_by)
