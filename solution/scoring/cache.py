"""Scores on disk: what was computed once is not computed again, and never for another model."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from solution.core import UserError, fingerprint

Asked = TypeVar("Asked")

# Counts up whenever the engine may give other numbers for the same tokens.
SCORER_VERSION = 2
# How many keys one query names; SQLite allows some thousands.
CHUNK = 500


class ScoreCache:
    """Plain values in one SQLite file, kept apart by what computed them.

    `made_by` must hold all that makes the model another one: the fingerprints of its weights,
    adapter and tokenizer files, and the dtype. The tokens of a row stand for its content and
    its prompt's template, so that a changed row is another row and no other one is lost.
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

    def fill(
        self,
        asked: Sequence[Asked],
        tokens: Callable[[Asked], Any],
        compute: Callable[[list[Asked]], list[Any]],
    ) -> list[Any]:
        """A value for everything asked, in order; only what is not kept is computed.

        `tokens` gives what decides a value, `compute` values (JSON) for some of them in order.
        """
        rows = [_digest(tokens(one)) for one in asked]
        known = self._read(rows)
        missing = {row: one for row, one in zip(rows, asked, strict=True) if row not in known}
        if missing:
            found = dict(zip(missing, compute(list(missing.values())), strict=True))
            self._write(found)
            known |= found
        return [known[row] for row in rows]

    def _read(self, rows: Sequence[str]) -> dict[str, Any]:
        known: dict[str, Any] = {}
        with self._open() as connection:
            for first in range(0, len(rows), CHUNK):
                some = rows[first : first + CHUNK]
                marks = ",".join("?" * len(some))
                query = f"SELECT row, value FROM scores WHERE scope = ? AND row IN ({marks})"
                found = connection.execute(query, (self.scope, *some))
                known |= {row: json.loads(value) for row, value in found}
        return known

    def _write(self, values: Mapping[str, Any]) -> None:
        lines = [(self.scope, row, json.dumps(value)) for row, value in values.items()]
        with self._open() as connection, connection:
            connection.executemany("INSERT OR REPLACE INTO scores VALUES (?, ?, ?)", lines)

    def _open(self) -> closing[sqlite3.Connection]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self.path, timeout=60)
            connection.execute("PRAGMA schema_version")  # reads the file: is it one of ours?
        except (OSError, sqlite3.DatabaseError) as error:
            raise UserError(
                f"{self.path}: cannot be used as the cache of scores ({error}). Remove it."
            ) from error
        return closing(connection)


def _digest(tokens: Any) -> str:
    return hashlib.sha256(json.dumps(tokens).encode()).hexdigest()
