"""What transformers and the hub raise, said so that the user knows what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from solution.core import UserError

# Exception class anywhere in the chain of causes -> what to do about it. First match wins.
REMEDIES = {
    "GatedRepoError": "it is gated. Accept its terms on its page, then log in: hf auth login.",
    "RevisionNotFoundError": "the hub has no such revision. Mend the key `revision`.",
    "RepositoryNotFoundError": (
        "the hub has no such model, or it is private. Check the name, or log in: hf auth login."
    ),
    "OfflineModeIsEnabled": "it is not on this machine and offline mode is set. {copy}",
    "LocalEntryNotFoundError": "it is not on this machine and the hub can't be reached. {copy}",
    "EntryNotFoundError": "a file is missing on the hub; safetensors weights are needed.",
    "ConnectionError": "the hub can't be reached. {copy}",
    "ConnectError": "the hub can't be reached. {copy}",
    "ConnectTimeout": "the hub can't be reached. {copy}",
    "OutOfMemoryError": "not enough memory. {smaller}",
    "MemoryError": "not enough memory. {smaller}",
    "SafetensorError": "a weights file is damaged or cut short. Download or copy it again.",
}
COPY = "Connect and run the same command again, or copy the model here and give its folder."
SMALLER = "Take a smaller model, or quantization: 4bit."


@contextmanager
def explained(place: str) -> Iterator[None]:
    """Turn the known failures of loading into UserError that names `place`; others pass."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        text = _explain(error)
        if text is None:
            raise
        raise UserError(f"{place}: {text}") from error


def _explain(error: Exception) -> str | None:
    names = [kind.__name__ for link in _chain(error) for kind in type(link).__mro__]
    for name, remedy in REMEDIES.items():
        if name in names:
            return remedy.format(copy=COPY, smaller=SMALLER)
    if "`trust_remote_code=True`" in str(error):
        return (
            "it brings its own Python code, which is not run unless you say so. "
            "Read that code, then set trust_remote_code: true for this model."
        )
    if isinstance(error, OSError | ValueError | ImportError):
        return " ".join(str(error).split())
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
