"""PEFT adapters: safetensors only, and only on the base model they were made for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from solution.core import UserError, resolve_path
from solution.models.pretrained import translate_errors
from solution.models.reference import hub_reachable, locate

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"


def attach_adapter(model: Any, name: str) -> Any:
    """Return the model with the adapter of a folder or hub id.

    Raises:
        UserError: The adapter is missing, pickled or made for another base model.

    """
    from peft import PeftModel

    with translate_errors(f"adapter {name}"):
        folder = locate(name, "adapter") or _download(name)
    settings = _read_settings(folder, name)
    _check_architecture(model, settings, name)
    try:
        adapted = PeftModel.from_pretrained(model, str(folder), is_trainable=False)
    except (RuntimeError, ValueError, TypeError) as error:
        raise _mismatch(name, settings, str(error).strip().splitlines()[-1]) from error
    _check_keys(adapted, folder, settings, name)
    return adapted


def _download(name: str) -> Path:
    from huggingface_hub import snapshot_download

    offline = not hub_reachable()
    return Path(
        snapshot_download(name, allow_patterns=[CONFIG, WEIGHTS], local_files_only=offline)
    )


def _read_settings(folder: Path, name: str) -> dict[str, Any]:
    from peft import PeftType

    try:
        settings = dict(json.loads((folder / CONFIG).read_text(encoding="utf-8")))
    except OSError as error:
        raise UserError(f"adapter {name}: not a PEFT adapter (no {CONFIG}).") from error
    except ValueError as error:
        raise UserError(f"adapter {name}: {CONFIG} is not valid JSON: {error}") from error
    if not (folder / WEIGHTS).is_file():
        raise UserError(
            f"adapter {name}: no {WEIGHTS}; pickle weights (adapter_model.bin) are not loaded. "
            "Save the adapter again with save_pretrained(), which writes safetensors."
        )
    kind = settings.get("peft_type")
    if kind not in set(PeftType):
        raise UserError(f"adapter {name}: the installed PEFT has no adapter type {kind}.")
    return settings


def _check_architecture(model: Any, settings: dict[str, Any], name: str) -> None:
    """Compare model types where the adapter's base is a local folder."""
    base = resolve_path(str(settings.get("base_model_name_or_path"))) / "config.json"
    if not base.is_file():
        return
    kind = json.loads(base.read_text(encoding="utf-8")).get("model_type")
    if kind != model.config.model_type:
        raise _mismatch(name, settings, f"a {kind} model, not {model.config.model_type}")


def _check_keys(adapted: Any, folder: Path, settings: dict[str, Any], name: str) -> None:
    """Compare names: PEFT drops unknown weights and initialises missing ones silently."""
    from peft import get_peft_model_state_dict
    from safetensors import safe_open

    with safe_open(folder / WEIGHTS, framework="pt") as file:
        stored = set(file.keys())
    expected = set(get_peft_model_state_dict(adapted, save_embedding_layers=False))
    embeddings = {key for key in stored if "embed" in key or "lm_head" in key}
    differing = (stored ^ expected) - embeddings
    if differing:
        raise _mismatch(name, settings, f"{len(differing)} weights differ, {min(differing)}, …")


def _mismatch(name: str, settings: dict[str, Any], detail: str) -> UserError:
    base = settings.get("base_model_name_or_path")
    return UserError(
        f"adapter {name} does not fit this model ({detail}). "
        f"It was made for {base}: give that model, or another adapter."
    )
