"""The best of BM25 put in order by a dense model: sentence-transformers, on demand only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from solution.core import UserError, resolve_path
from solution.kowiki.index import Hit

POOL = 50
"""Passages that BM25 hands over; what it does not find there, no model can put in front."""
LEAST_VERSION = 6
INSTALL = f"pip install 'sentence-transformers>={LEAST_VERSION}'"


def rerank(query: str, hits: Sequence[Hit], model: str) -> list[Hit]:
    """The hits by the model's similarity of query and passage, best first; equal ones stay.

    `model` is a folder or hub id of sentence-transformers; its own prompts for queries and
    documents are used, its weights read from safetensors only, and no code of its own is run.
    Reimers and Gurevych 2019. Raises UserError where the package or the model can't be loaded.
    """
    if not hits:
        return []
    encoder = _load(model)
    quiet = {"show_progress_bar": False}
    asked = encoder.encode_query([query], **quiet)
    told = encoder.encode_document([hit.passage.titled for hit in hits], **quiet)
    scores = [float(score) for score in encoder.similarity(asked, told)[0]]
    ranked = [Hit(hit.passage, score) for hit, score in zip(hits, scores, strict=True)]
    return sorted(ranked, key=lambda hit: -hit.score)


def _load(model: str) -> Any:
    try:
        import sentence_transformers as st
    except ImportError as error:
        raise UserError(f"--rerank: sentence-transformers is not here: {INSTALL}") from error
    # Earlier versions run the code that a local folder brings, asked or not.
    if int(st.__version__.split(".")[0]) < LEAST_VERSION:
        raise UserError(f"--rerank: sentence-transformers {st.__version__}: {INSTALL}")
    local = resolve_path(model)
    try:
        return st.SentenceTransformer(
            str(local) if local.is_dir() else model,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True},
        )
    except (OSError, ValueError) as error:
        told = str(error).strip().splitlines()[0]
        raise UserError(
            f"--rerank {model}: cannot be loaded: {told} Give a folder or hub id of a "
            "sentence-transformers model with safetensors and no code of its own."
        ) from error
