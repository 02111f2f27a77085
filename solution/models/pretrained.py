"""Configurations and tokenizers of a folder or the hub, with errors translated for the user."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from solution.core import UserError
from solution.models.reference import ModelReference, hub_reachable, locate

COPY = "Connect and rerun, or copy the model here and give its folder."
UNREACHABLE = f"the hub can't be reached. {COPY}"
SMALLER = "Use a smaller model, or quantization: 4bit."
# Class name anywhere in the chain of causes -> message; the first match wins.
MESSAGES = {
    "GatedRepoError": "it is gated. Accept its terms on its page, then log in: hf auth login.",
    "RevisionNotFoundError": "the hub has no such revision. Correct `revision`.",
    "RepositoryNotFoundError": (
        "the hub has no such model, or it is private. Check the name, or log in: hf auth login."
    ),
    "OfflineModeIsEnabled": f"it is not on this machine and offline mode is set. {COPY}",
    "LocalEntryNotFoundError": f"it is not on this machine and {UNREACHABLE}",
    "EntryNotFoundError": "a file is missing on the hub; safetensors weights are needed.",
    "ConnectionError": UNREACHABLE,
    "ConnectError": UNREACHABLE,
    "ConnectTimeout": UNREACHABLE,
    "OutOfMemoryError": f"not enough memory. {SMALLER}",
    "MemoryError": f"not enough memory. {SMALLER}",
    "SafetensorError": "a weights file is damaged or cut short. Download or copy it again.",
}


@contextmanager
def translate_errors(source: str) -> Iterator[None]:
    """Turn known errors of loading into a UserError that begins with `source`."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        message = _message(error)
        if message is None:
            raise
        raise UserError(f"{source}: {message}") from error


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


def source_options(reference: ModelReference) -> dict[str, Any]:
    """Return the arguments of `from_pretrained` that say where a model comes from."""
    folder = locate(reference.model, "model")
    return {
        "pretrained_model_name_or_path": str(folder or reference.model),
        "revision": reference.revision or "main",
        "trust_remote_code": reference.trust_remote_code,
        "local_files_only": folder is not None or not hub_reachable(),
    }


def read_config(reference: ModelReference) -> Any:
    """Load the configuration only; raise UserError where it is missing or needs remote code."""
    from transformers import AutoConfig

    options = source_options(reference)
    with quiet(), translate_errors(f"model {reference.model}"):
        return AutoConfig.from_pretrained(**options)


def load_tokenizer(reference: ModelReference) -> Any:
    """Load the tokenizer only; raise UserError where it is missing or needs remote code."""
    from transformers import AutoTokenizer

    options = source_options(reference)
    with quiet(), translate_errors(f"model {reference.model}"):
        return AutoTokenizer.from_pretrained(**options)


def _message(error: Exception) -> str | None:
    classes = [kind.__name__ for link in _causes(error) for kind in type(link).__mro__]
    for name, message in MESSAGES.items():
        if name in classes:
            return message
    if "`trust_remote_code=True`" in str(error):
        return (
            "it contains its own Python code, which is not run by default. "
            "Read that code, then set trust_remote_code: true for this model."
        )
    if isinstance(error, OSError | ValueError | ImportError):
        return " ".join(str(error).split())
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
