"""From a wiki dump to passages, an index and questions."""

from solution.kowiki.build import LENGTH, build
from solution.kowiki.decontaminate import leaking, nearest
from solution.kowiki.index import Hit, Index, open_index
from solution.kowiki.objectives import articles_text, select_articles
from solution.kowiki.passages import Passage, read_manifest, read_passages
from solution.kowiki.questions import questions
from solution.kowiki.search import search

__all__ = [
    "LENGTH",
    "Hit",
    "Index",
    "Passage",
    "articles_text",
    "build",
    "leaking",
    "nearest",
    "open_index",
    "questions",
    "read_manifest",
    "read_passages",
    "search",
    "select_articles",
]
