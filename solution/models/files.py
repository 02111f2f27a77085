"""Files of a model in a folder, the hub's cache or the hub, with errors translated.

A hub id becomes the folder of its snapshot: nothing is asked of the hub where the cache has
what is needed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from solution.core import UserError
from solution.models.reference import GGUF, ModelReference, hub_reachable, locate

COPY = "Connect and rerun, or copy the model here and give its folder."
UNREACHABLE = f"the hub can't be reached. {COPY}"
SMALLER = "Use a smaller model, or quantization: 4bit."
Part = Literal["config", "tokenizer", "weights"]
CONFIG_FILES = ("config.json", "*.py")
TEXT_FILES = ("*.json", "*.jinja", "*.model", "*.txt", "*.tiktoken", "*.py")
PATTERNS: dict[Part, tuple[str, ...]] = {
    "config": CONFIG_FILES,
    "tokenizer": TEXT_FILES,
    "weights": (*TEXT_FILES, "*.safetensors"),
}
# Other forms of the same weights, which some repositories hold too.
IGNORED = ["*/*", "consolidated*", "*.fp16.safetensors"]
VOCABULARY = ("tokenizer.json", "vocab.*", "*.model", "*.tiktoken", "tokenization*.py")
ADAPTER, ADAPTER_CONFIG = "adapter_model.safetensors", "adapter_config.json"
TEMPLATE = "chat_template.jinja"
INDEX = "model.safetensors.index.json"
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


def model_folder(reference: ModelReference, part: Part) -> Path:
    """Return the folder that holds a part of a model; from the hub only what is not cached.

    Raises:
        UserError: The part is missing or incomplete.

    """
    folder = locate(reference.model, "model")
    if folder is not None:
        if fault := _fault(folder, part):
            raise UserError(f"model {reference.model}: {fault}")
        return folder
    with translate_errors(f"model {reference.model}"):
        return hub_folder(
            reference.model,
            reference.revision,
            PATTERNS[part],
            lambda cached: _fault(cached, part),
        )


def hub_folder(
    name: str,
    revision: str | None,
    patterns: Sequence[str],
    fault: Callable[[Path], str | None],
) -> Path:
    """Return the snapshot of a hub id where `fault` finds nothing to be missing."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    missing = None
    with suppress(LocalEntryNotFoundError):
        folder = Path(snapshot_download(name, revision=revision, local_files_only=True))
        missing = fault(folder)
        if missing is None:
            return folder
    if not hub_reachable():
        if missing:
            raise UserError(f"its copy in the cache is incomplete: {missing} {UNREACHABLE}")
        if commits := _unnamed_snapshots(name):
            raise UserError(
                f"its cache has no {revision or 'main'}, but {', '.join(commits)}. Set "
                "revision to one of them."
            )
    folder = Path(
        snapshot_download(
            name,
            revision=revision,
            allow_patterns=list(patterns),
            ignore_patterns=IGNORED,
        )
    )
    if missing := fault(folder):
        raise UserError(missing)
    return folder


def has_tokenizer(folder: Path) -> bool:
    """Whether a folder holds the vocabulary of a tokenizer."""
    return any(any(folder.glob(name)) for name in VOCABULARY)


def _unnamed_snapshots(name: str) -> list[str]:
    """Commits in the cache, where it does not say which one a branch names."""
    from huggingface_hub import constants

    cache = Path(constants.HF_HUB_CACHE) / f"models--{name.replace('/', '--')}"
    if any((cache / "refs").glob("*")):
        return []
    return sorted(path.name for path in (cache / "snapshots").glob("*"))


def _fault(folder: Path, part: Part) -> str | None:
    """Return what a folder lacks of a part, None where it is complete."""
    if not (folder / "config.json").is_file():
        if ggufs := sorted(folder.glob("*.gguf")):
            return f"{ggufs[0].name}: {GGUF}"
        return "not a model folder (no config.json). Copy or download it again."
    if part != "config" and not has_tokenizer(folder):
        return (
            "no tokenizer (tokenizer.json or tokenizer.model). Copy the tokenizer files of the "
            "model that it was made from."
        )
    return _weights_fault(folder) if part == "weights" else None


def _weights_fault(folder: Path) -> str | None:
    found = sorted(path.name for path in folder.glob("*.safetensors"))
    if (folder / INDEX).is_file():
        return _shards_fault(folder)
    if found:
        split = "-of-" in found[0]
        return f"{found[0]} is one of several parts; copy {INDEX} too." if split else None
    pickles = [p.name for kind in ("bin", "pt", "pth") for p in folder.glob(f"*.{kind}")]
    if pickles:
        return (
            f"{min(pickles)}: pickle weights are not loaded, they can run code. Save the model "
            "again with save_pretrained(), which writes model.safetensors."
        )
    if ggufs := sorted(folder.glob("*.gguf")):
        return f"{ggufs[0].name}: {GGUF}"
    return "no weights (*.safetensors). Copy or download them again."


def _shards_fault(folder: Path) -> str | None:
    try:
        names = json.loads((folder / INDEX).read_text("utf-8"))["weight_map"].values()
    except (ValueError, KeyError, AttributeError):
        return f"{INDEX} is damaged. Copy or download it again."
    missing = sorted({name for name in names if not (folder / name).is_file()})
    if not missing:
        return None
    return (
        f"{INDEX} names {len(missing)} files that are not there ({missing[0]}, …). Copy or "
        "download them again."
    )


def adapter_folder(name: str) -> Path:
    """Return the folder of an adapter; raise UserError where it is missing or incomplete."""
    folder = locate(name, "adapter")
    if folder is not None:
        if fault := _adapter_fault(folder):
            raise UserError(f"adapter {name}: {fault}")
        return folder
    with translate_errors(f"adapter {name}"):
        return hub_folder(name, None, (*TEXT_FILES, ADAPTER), _adapter_fault)


def _adapter_fault(folder: Path) -> str | None:
    if not (folder / ADAPTER_CONFIG).is_file():
        return f"not a PEFT adapter (no {ADAPTER_CONFIG})."
    if not (folder / ADAPTER).is_file():
        return (
            f"no {ADAPTER}; pickle weights (adapter_model.bin) are not loaded. Save the "
            "adapter again with save_pretrained(), which writes safetensors."
        )
    return None


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
