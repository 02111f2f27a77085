"""From a wiki dump to passages, an index and questions."""

from solution.kowiki.build import LENGTH, build
from solution.kowiki.decontaminate import leaking, nearest
from solution.kowiki.index import Hit, Index, open_index
from solution.kowiki.judge import Judge
from solution.kowiki.objectives import articles_text, select_articles
from solution.kowiki.passages import Passage, build_digest, read_manifest, read_passages
from solution.kowiki.questions import questions
from solution.kowiki.retrieval import (
    Found,
    RetrievalConfig,
    RetrievedPassages,
    retrieval_inputs,
    retrieve_passages,
)
from solution.kowiki.search import search

__all__ = [
    "LENGTH",
    "Found",
    "Hit",
    "Index",
    "Judge",
    "Passage",
    "RetrievalConfig",
    "RetrievedPassages",
    "articles_text",
    "build",
    "build_digest",
    "leaking",
    "nearest",
    "open_index",
    "questions",
    "read_manifest",
    "read_passages",
    "retrieval_inputs",
    "retrieve_passages",
    "search",
    "select_articles",
]
