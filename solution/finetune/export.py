"""A finished run in other forms: merged into its base, as GGUF, on the hub (private)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from solution.core import UserError, atomic_directory, atomic_write, log
from solution.finetune.methods import CONFIG, WEIGHTS
from solution.models import ModelReference, hub_reachable, load

CONVERTER = "convert_hf_to_gguf.py"
TYPES = ("f16", "bf16", "q8_0")  # what the converter writes by itself


def merge(run: Path, out: Path, base: str | None = None) -> str:
    """Write the tuned model with its adapter merged into 16-bit weights, for any program.

    `base` names the unquantised model where the run's own is quantised: four bits plus an
    adapter can't be rounded back to four bits without loss, so it is merged into 16. Raises
    UserError where that is missing or `out` is taken.
    """
    import torch

    adapter, recipe = _finished(run)
    if out.exists():
        raise UserError(f"{out}: stands there already. Give another --out.")
    reference = _reference(recipe, adapter, base)
    log(f"{adapter} into {reference.model} …")
    loaded = load(reference)
    if getattr(loaded.model.config, "quantization_config", None) is not None:
        raise UserError(
            f"{reference.model}: its weights are quantised: nothing can be merged into them. "
            "Name the unquantised model by --base, such as Qwen/Qwen2.5-32B-Instruct."
        )
    model = loaded.model.merge_and_unload() if reference.adapter else loaded.model
    with atomic_directory(out) as folder:
        model.to(torch.float16).save_pretrained(folder)
        loaded.tokenizer.save_pretrained(folder)
        shutil.copy(adapter / "README.md", folder)
    return f"{out}: {reference.model} with {adapter} merged, float16"


def gguf(model: Path, out: Path, kind: str, llama_cpp: Path | None) -> str:
    """Convert a merged model to a GGUF file by llama.cpp's own converter.

    Raises UserError where llama.cpp isn't there or refuses the model, with what it said.
    """
    if kind not in TYPES:
        raise UserError(f"--type {kind}: expected one of {', '.join(TYPES)}.")
    if not (model / "config.json").is_file() or (model / CONFIG).exists():
        raise UserError(f"{model}: no merged model: ./run.sh export merge RUN --out DIR")
    place = llama_cpp or Path(os.environ.get("LLAMA_CPP", "llama.cpp"))
    converter = place / CONVERTER
    if not converter.is_file():
        raise UserError(
            f"{converter}: not there. Get llama.cpp (git clone "
            "https://github.com/ggml-org/llama.cpp), install its requirements and name its "
            "folder by --llama-cpp."
        )
    with atomic_write(out) as partial:
        command = [str(converter), str(model), "--outfile", str(partial), "--outtype", kind]
        done = subprocess.run(
            [sys.executable, *command], capture_output=True, text=True, check=False
        )
        if done.returncode or not partial.is_file():
            last = (done.stderr.strip() or "no word why").splitlines()[-1]
            raise UserError(f"{converter} refused {model}: {last}")
    return f"{out}: {kind}"


def push(run: Path, name: str, *, public: bool = False) -> str:
    """Upload a run's adapter and its card to the hub; private unless `public` is asked for.

    Raises UserError where the hub can't be reached or nobody is logged in.
    """
    from huggingface_hub import HfApi, get_token

    adapter, _ = _finished(run)
    if not hub_reachable():
        raise UserError("the hub can't be reached. Connect and run the same command again.")
    if get_token() is None:
        raise UserError("nobody is logged in to the hub. Run: hf auth login")
    client = HfApi()
    client.create_repo(name, private=not public, exist_ok=True)
    client.upload_folder(repo_id=name, folder_path=adapter)
    return f"{name}: {adapter}, {'public' if public else 'private'}"


def _finished(run: Path) -> tuple[Path, dict[str, Any]]:
    """A run's adapter folder and the recipe it was made by."""
    adapter, config = run / "adapter", run / "config.yaml"
    if not config.is_file() or not any(adapter.glob("*.safetensors")):
        raise UserError(f"{run}: no finished fine-tuning. Give a folder of runs/finetune.")
    recipe = yaml.safe_load(config.read_text(encoding="utf-8"))["recipe"]
    return adapter, dict(recipe)


def _reference(recipe: dict[str, Any], adapter: Path, base: str | None) -> ModelReference:
    plain: dict[str, Any] = {
        "quantization": "none",
        "dtype": "float32",
        "max_length": None,
    }
    if not (adapter / WEIGHTS).is_file():  # every weight was tuned: a model of its own
        return ModelReference(model=str(adapter), **plain)
    own = ModelReference.model_validate(recipe["model"])
    settings = json.loads((adapter / CONFIG).read_text(encoding="utf-8"))
    model = base or settings["base_model_name_or_path"]
    changes = plain | {"model": model, "adapter": str(adapter)}
    if base is not None:
        changes["revision"] = None
    return own.model_copy(update=changes)
