"""From a wiki dump to passages, an index, questions and contexts."""

from solution.kowiki.build import build
from solution.kowiki.decontaminate import leaking, nearest
from solution.kowiki.index import Hit, Index, open_index
from solution.kowiki.passages import Passage, read_passages
from solution.kowiki.questions import questions

__all__ = [
    "Hit",
    "Index",
    "Passage",
    "build",
    "leaking",
    "nearest",
    "open_index",
    "questions",
    "read_passages",
]
