"""The articles that a list of curriculum objectives retrieves."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from solution.core import UserError, resolve_path
from solution.kowiki.index import open_index


class Article(NamedTuple):
    """One article and the objective that retrieved it with the highest score."""

    page_id: str
    title: str
    subject: str
    objective: str
    score: float


def read_objectives(path: Path) -> list[tuple[str, str]]:
    """Read (subject, objective) pairs of a .tsv file, a folder of them, or a text file.

    A .tsv file has the columns subject, unit, objective and terms (which extend the query); a
    text file has one objective a line below `# subject`.

    Raises UserError where the file cannot be read or holds none.
    """
    files = sorted(path.glob("*.tsv")) if path.is_dir() else [path]
    try:
        rows = [row for file in files for row in _rows(file)]
    except (OSError, UnicodeDecodeError, KeyError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    if not rows:
        raise UserError(f"{path}: no objective in it. Write one a line, below `# subject`.")
    return rows


def select_articles(objectives: Path, folder: Path, top_k: int) -> list[Article]:
    """Return the articles of the `top_k` best passages of every objective, best first."""
    rows = read_objectives(resolve_path(str(objectives)))
    queries = [f"{subject} {objective}" for subject, objective in rows]
    found: dict[str, Article] = {}
    hits_of = open_index(folder).search(queries, top_k)
    for (subject, objective), hits in zip(rows, hits_of, strict=True):
        for hit in hits:
            page = hit.passage.page_id
            if page not in found or hit.score > found[page].score:
                found[page] = Article(page, hit.passage.title, subject, objective, hit.score)
    return sorted(found.values(), key=lambda article: (-article.score, article.page_id))


def articles_text(articles: list[Article], as_json: bool) -> str:
    """Format one article a line: JSON, or score, title and the objective that retrieved it."""
    if as_json:
        return "\n".join(json.dumps(one._asdict(), ensure_ascii=False) for one in articles)
    lines = [
        f"{one.score:7.2f}  {one.title}  ({one.subject}: {one.objective})" for one in articles
    ]
    return "\n".join([*lines, f"{len(articles)} articles"])


def _rows(file: Path) -> Iterator[tuple[str, str]]:
    text = file.read_text(encoding="utf-8-sig")
    if file.suffix == ".tsv":
        for row in csv.DictReader(text.splitlines(), delimiter="\t"):
            yield row["subject"], f"{row['objective']} {row['terms']}"
        return
    subject = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("#"):
            subject = line.lstrip("# ")
        elif line:
            yield subject, line
