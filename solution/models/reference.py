"""What names a model: where its weights are and how they are to be loaded."""

from __future__ import annotations

import functools
import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import Literal

from pydantic import Field

from solution.core import Config, UserError, resolve_path, sha256_file

HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
PATIENCE_SECONDS = 5
HASHED = ("*.safetensors", "*.json", "*.model", "*.txt", "*.jinja", "*.py")


class ModelReference(Config):
    """A hub id or a local folder, and how to load it; `max_length` is in tokens."""

    model: str = Field(min_length=1)
    revision: str | None = None
    quantization: Literal["none", "4bit", "8bit"] = "none"
    dtype: Literal["auto", "float16", "bfloat16", "float32"] = "auto"
    adapter: str | None = None
    trust_remote_code: bool = False
    max_length: int | None = Field(default=None, ge=16)


def locate(name: str, what: str) -> Path | None:
    """The local folder that `name` means; None where it is a hub id.

    Raises UserError where it can be neither.
    """
    path = resolve_path(name)
    if path.is_dir():
        return path
    if path.exists():
        raise UserError(f"{what} {name}: a file, where a folder or a hub id is expected.")
    if name.startswith((".", "/", "~", "data/", "runs/")) or not HUB_ID.fullmatch(name):
        raise UserError(
            f"{what} {name}: no such folder. Give a folder that exists, "
            "or a hub id such as Qwen/Qwen2.5-7B-Instruct."
        )
    return None


@functools.cache
def hub_reachable() -> bool:
    """Whether the hub answers, asked once: its client retries each file for half a minute."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    request = urllib.request.Request(constants.ENDPOINT, method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=PATIENCE_SECONDS).close()
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False
    return True


def weights_fingerprint(reference: ModelReference) -> dict[str, str]:
    """What makes this model another model, as names and digests.

    A local folder gives the SHA-256 of each of its files, a hub id its commit (from the cache,
    else from the hub; the revision as written where neither knows it). Raises UserError where
    the folder is absent.
    """
    prints = _fingerprint(reference.model, reference.revision, "model")
    if reference.adapter is not None:
        prints |= _fingerprint(reference.adapter, None, "adapter")
    return prints


def _fingerprint(name: str, revision: str | None, what: str) -> dict[str, str]:
    folder = locate(name, what)
    if folder is None:
        return {what: f"{name}@{_commit(name, revision)}"}
    files = {path for pattern in HASHED for path in folder.glob(pattern)}
    return {f"{what}/{path.name}": sha256_file(path) for path in sorted(files)}


def _commit(name: str, revision: str | None) -> str:
    from huggingface_hub import HfApi, try_to_load_from_cache

    if revision is None:
        revision = "main"

    for file in ("config.json", "adapter_config.json"):
        cached = try_to_load_from_cache(name, file, revision=revision)
        if isinstance(cached, str):
            return Path(cached).parent.name
    if not hub_reachable():
        return revision
    try:
        return HfApi().model_info(name, revision=revision, timeout=10).sha or revision
    except Exception:  # gated, absent: load() says which
        return revision
