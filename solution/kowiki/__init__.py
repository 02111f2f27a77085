"""Korean Wikipedia: passages, search, questions and retrieval."""

from solution.kowiki.build import MAX_CHARS, build
from solution.kowiki.index import Hit, Index, open_index, search
from solution.kowiki.ngrams import leaked_ids, leaking, nearest
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
from solution.kowiki.teacher import Judge

__all__ = [
    "MAX_CHARS",
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
    "leaked_ids",
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
