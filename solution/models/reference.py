"""Model references: where the weights are, how to load them, and what identifies them."""

from __future__ import annotations

import functools
import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from solution.core import Config, LocalPath, UserError, resolve_path, sha256_file

HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
GGUF = (
    "a GGUF file; safetensors are expected. Convert it once: AutoModelForCausalLM."
    'from_pretrained(FOLDER, gguf_file="FILE.gguf").save_pretrained(NEW), and the tokenizer '
    "likewise. The weights stay those that the file was quantised to."
)
HUB_TIMEOUT = 5  # seconds
HASHED = ("*.safetensors", "*.json", "*.model", "*.txt", "*.jinja", "*.py")


class ModelReference(Config):
    """A hub id or a local folder, and how to load it; `max_length` is in tokens.

    `chat_template` holds variables for the model's template (such as `enable_thinking: false`);
    `add_bos` decides whether a begin-of-text token that only the tokenizer adds is kept.
    """

    model: LocalPath = Field(min_length=1)
    revision: str | None = None
    quantization: Literal["none", "4bit", "8bit"] = "none"
    dtype: Literal["auto", "float16", "bfloat16", "float32"] = "auto"
    adapter: LocalPath | None = None
    trust_remote_code: bool = False
    max_length: int | None = Field(default=None, ge=16)
    chat_template: dict[str, Any] = Field(default_factory=dict)
    add_bos: bool | None = None


def locate(name: str, kind: str) -> Path | None:
    """Return the local folder `name`, None for a hub id; raise UserError for anything else."""
    path = resolve_path(name)
    if path.is_dir():
        return path
    if path.suffix == ".gguf":
        raise UserError(f"{kind} {name}: {GGUF}")
    if path.exists():
        raise UserError(f"{kind} {name}: a file, where a folder or a hub id is expected.")
    if name.startswith((".", "/", "~", "data/", "runs/")) or not HUB_ID.fullmatch(name):
        raise UserError(
            f"{kind} {name}: no such folder. Give a folder that exists, "
            "or a hub id such as Qwen/Qwen2.5-7B-Instruct."
        )
    return None


@functools.cache
def hub_reachable() -> bool:
    """Whether the hub answers; checked once, as its client retries each file for 30 s."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    request = urllib.request.Request(constants.ENDPOINT, method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=HUB_TIMEOUT).close()
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False
    return True


def weights_fingerprint(reference: ModelReference) -> dict[str, str]:
    """Return the hashes that identify weights, tokenizer and adapter.

    For a folder the SHA-256 of each file; for a hub id its commit, from the local cache, else
    from the hub, else the revision as given. Raises UserError for a missing folder.
    """
    hashes = _hashes(reference.model, reference.revision, "model")
    if reference.adapter is not None:
        hashes |= _hashes(reference.adapter, None, "adapter")
    return hashes


def _hashes(name: str, revision: str | None, kind: str) -> dict[str, str]:
    folder = locate(name, kind)
    if folder is None:
        return {kind: f"{name}@{_commit(name, revision or 'main')}"}
    files = {path for pattern in HASHED for path in folder.glob(pattern)}
    return {f"{kind}/{path.name}": sha256_file(path) for path in sorted(files)}


def _commit(name: str, revision: str) -> str:
    from huggingface_hub import HfApi, try_to_load_from_cache

    for file in ("config.json", "adapter_config.json"):
        cached = try_to_load_from_cache(name, file, revision=revision)
        if isinstance(cached, str):
            return Path(cached).parent.name
    if not hub_reachable():
        return revision
    try:
        return HfApi().model_info(name, revision=revision, timeout=10).sha or revision
    except Exception:  # gated or missing: load() raises the message
        return revision
