"""Configurations and tokenizers: of a model, or those that an adapter brings."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from solution.models.files import (
    TEMPLATE,
    Part,
    adapter_folder,
    has_tokenizer,
    model_folder,
    translate_errors,
)
from solution.models.reference import ModelReference


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the bars and warnings of transformers; errors are raised anyway."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def source_options(reference: ModelReference, part: Part) -> dict[str, Any]:
    """Return the arguments of `from_pretrained` that say where a part of a model is."""
    return {
        "pretrained_model_name_or_path": str(model_folder(reference, part)),
        "trust_remote_code": reference.trust_remote_code,
        "local_files_only": True,
    }


def read_config(reference: ModelReference) -> Any:
    """Load the configuration only; raise UserError where it is missing or needs remote code."""
    from transformers import AutoConfig

    options = source_options(reference, "config")
    with quiet(), translate_errors(f"model {reference.model}"):
        return AutoConfig.from_pretrained(**options)


def load_tokenizer(reference: ModelReference) -> Any:
    """Load the tokenizer, an adapter's own one where it has one; raise UserError without any.

    A template beside an adapter replaces that of the model: the adapter was trained with it.
    """
    from transformers import AutoTokenizer

    own = adapter_folder(reference.adapter) if reference.adapter else None
    if own and has_tokenizer(own):
        options = {"pretrained_model_name_or_path": str(own), "config": read_config(reference)}
        options |= {"trust_remote_code": reference.trust_remote_code}
    else:
        options = source_options(reference, "tokenizer")
    with quiet(), translate_errors(f"model {reference.model}"):
        tokenizer = AutoTokenizer.from_pretrained(**options)
    if own and (own / TEMPLATE).is_file():
        tokenizer.chat_template = (own / TEMPLATE).read_text(encoding="utf-8")
    return tokenizer
