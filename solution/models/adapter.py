"""PEFT adapters: safetensors only, and only on the base model they were made for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from solution.core import UserError, log, read_yaml, resolve_path
from solution.models.files import ADAPTER, ADAPTER_CONFIG, adapter_folder
from solution.models.pretrained import load_tokenizer
from solution.models.reference import HUB_ID, ModelReference, weights_fingerprint

QUANTISED = re.compile(r"(-unsloth)?-bnb-4bit$|-(awq|fp8|gptq(-int[48])?|int[48]|hf)$")


def attach_adapter(model: Any, reference: ModelReference) -> Any:
    """Return the model with the adapter of a reference.

    Raises:
        UserError: The adapter is missing, pickled or made for another base model.

    """
    from peft import PeftModel

    name = str(reference.adapter)
    folder = adapter_folder(name)
    settings = _read_settings(folder, name)
    _check_architecture(model, settings, name)
    _check_base(reference, settings, folder)
    stored = _embedding_rows(folder)
    if stored not in (None, model.get_input_embeddings().weight.shape[0]):
        model.resize_token_embeddings(stored, mean_resizing=False)
    try:
        adapted = PeftModel.from_pretrained(model, str(folder), is_trainable=False)
    except (RuntimeError, ValueError, TypeError) as error:
        raise _mismatch(name, settings, str(error).strip().splitlines()[-1]) from error
    _check_keys(adapted, folder, settings, name)
    return adapted


def describe_tokenizer(reference: ModelReference, tokenizer: Any, rows: int) -> str | None:
    """Say how the tokenizer that an adapter brings differs from that of its base model.

    `rows` is the number of embeddings.
    """
    try:
        base = load_tokenizer(reference.model_copy(update={"adapter": None}))
    except UserError:  # the adapter's is the only one
        return None
    added = sorted(set(tokenizer.get_vocab()) - set(base.get_vocab()))
    parts = ["another chat template"] if tokenizer.chat_template != base.chat_template else []
    if added:
        parts.append(f"{len(added)} added tokens ({', '.join(added[:3])})")
    elif tokenizer.get_vocab() != base.get_vocab():
        parts.append("another vocabulary")
    unknown = [number for number in tokenizer.get_vocab().values() if number >= rows]
    if unknown:
        parts.append(f"no embedding for {len(unknown)} of its tokens")
    if not parts:
        return None
    return f"adapter {reference.adapter}: its own tokenizer is used: {'; '.join(parts)}."


def run_settings(adapter: str | Path) -> dict[str, Any]:
    """Return the inputs of the fine-tuning run that holds an adapter, {} without a run."""
    path = resolve_path(str(adapter)).resolve().parent / "config.yaml"
    try:
        found = read_yaml(path) if path.is_file() else {}
    except UserError:  # a file of somebody else
        return {}
    recipe = found.get("recipe")
    return found if isinstance(recipe, dict) and isinstance(recipe.get("model"), dict) else {}


def adapter_base(adapter: Path) -> str | None:
    """Return the model that an adapter's folder names, None where it names none."""
    settings = _read_settings(adapter_folder(str(adapter)), str(adapter))
    return settings.get("base_model_name_or_path")


def _check_base(reference: ModelReference, settings: dict[str, Any], folder: Path) -> None:
    """Compare what the adapter and its run record of the base model with the given one."""
    name, recorded = str(reference.adapter), str(settings.get("base_model_name_or_path") or "")
    base, model = resolve_path(recorded), resolve_path(reference.model)
    hashes = _weights(run_settings(folder).get("weights", {}))
    if base.is_dir() and recorded and not (model.is_dir() and base.samefile(model)):
        hashes = _weights(weights_fingerprint(ModelReference(model=recorded)))
    given = _weights(weights_fingerprint(reference.model_copy(update={"adapter": None})))
    same_name = core_name(recorded) == core_name(reference.model)
    if hashes & given or (not hashes and (same_name or not recorded)):
        return
    if hashes and given and not same_name:
        raise _mismatch(name, settings, f"the weights of {reference.model} are others")
    if HUB_ID.fullmatch(recorded) and not same_name and not model.is_dir():
        raise _mismatch(
            name,
            settings,
            f"{reference.model} is another model; if not, correct {ADAPTER_CONFIG}",
        )
    log(f"adapter {name}: made for {recorded}; {reference.model} may have other weights.")


def _weights(hashes: Mapping[str, str]) -> set[str]:
    return {digest for file, digest in hashes.items() if file.endswith(".safetensors")}


def core_name(name: str) -> str:
    """Return a model's name without owner, cache folders and form of quantisation."""
    parts = [part for part in name.replace("--", "/").split("/") if part]
    if "snapshots" in parts:
        parts = parts[: parts.index("snapshots")]
    return QUANTISED.sub("", parts[-1].lower().removeprefix("meta-")) if parts else ""


def _embedding_rows(folder: Path) -> int | None:
    """Rows of the embeddings that an adapter brings, None where it brings none."""
    from safetensors import safe_open

    with safe_open(folder / ADAPTER, framework="pt") as file:
        for key in file.keys():  # noqa: SIM118 (no mapping)
            if re.search(r"(embed_tokens|wte|embed_in)(\.modules_to_save)?\.weight$", key):
                return int(file.get_slice(key).get_shape()[0])
    return None


def _read_settings(folder: Path, name: str) -> dict[str, Any]:
    from peft import PeftType

    try:
        settings = dict(json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8")))
    except ValueError as error:
        raise UserError(
            f"adapter {name}: {ADAPTER_CONFIG} is not valid JSON: {error}"
        ) from error
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

    with safe_open(folder / ADAPTER, framework="pt") as file:
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
