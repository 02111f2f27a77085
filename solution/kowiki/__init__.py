"""From a wiki dump to passages, an index and questions."""

from solution.kowiki.build import LENGTH, build
from solution.kowiki.contexts import Contexts, Retrieve, retrieval_inputs, with_contexts
from solution.kowiki.decontaminate import leaking, nearest
from solution.kowiki.gate import Gate, learn_gate, read_gate
from solution.kowiki.index import Hit, Index, open_index
from solution.kowiki.judge import Judge
from solution.kowiki.objectives import articles_text, select_articles
from solution.kowiki.passages import Passage, build_digest, read_manifest, read_passages
from solution.kowiki.questions import questions
from solution.kowiki.search import search

__all__ = [
    "LENGTH",
    "Contexts",
    "Gate",
    "Hit",
    "Index",
    "Judge",
    "Passage",
    "Retrieve",
    "articles_text",
    "build",
    "build_digest",
    "leaking",
    "learn_gate",
    "nearest",
    "open_index",
    "questions",
    "read_gate",
    "read_manifest",
    "read_passages",
    "retrieval_inputs",
    "search",
    "select_articles",
    "with_contexts",
]
