"""What a search found, as a table or as JSON."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from solution.core import UserError
from solution.kowiki.analyse import Analyser
from solution.kowiki.index import Hit, open_index


def search(
    query: str,
    folder: Path,
    analyser: Analyser,
    k: int,
    as_json: bool,
) -> str:
    """Return the `k` best passages for a query as a table or as JSON lines."""
    if not query.strip():
        raise UserError("The query is empty. Give some words to search for.")
    index = open_index(folder, analyser)
    [hits] = index.search([query], k)
    if as_json:
        return "\n".join(json.dumps(_row(hit), ensure_ascii=False) for hit in hits)
    if not hits:
        return "No passage shares a word with the query."
    width = max(shutil.get_terminal_size().columns, 60)
    lines = []
    for hit in hits:
        text = f"{hit.score:7.2f}  {hit.passage.titled}"
        lines.append(text if len(text) * 2 <= width else text[: width // 2 + 5] + "…")
    return "\n".join(["  score  passage", *lines])


def _row(hit: Hit) -> dict[str, object]:
    passage = hit.passage
    return {
        "score": round(hit.score, 4),
        "passage_id": passage.passage_id,
        "page_id": passage.page_id,
        "title": passage.title,
        "section": passage.section,
        "text": passage.text,
    }
