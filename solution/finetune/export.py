"""Export a finished run: merged into its base model, as GGUF, or to the Hugging Face Hub."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from solution.core import (
    PROJECT,
    UserError,
    atomic_directory,
    atomic_write,
    log,
    resolve_path,
)
from solution.exam import load_prompt, read_exam
from solution.finetune.peft_model import CONFIG, WEIGHTS
from solution.models import ModelReference, hub_reachable, load
from solution.scoring import evaluate

CONVERTER = "convert_hf_to_gguf.py"
GGUF_TYPES = ("f16", "bf16", "q8_0")
# Questions by which a merged model is compared with the quantised one that was tuned.
SAMPLE = 64
PUSHED = ["*.safetensors", "*.json", "README.md", "*.jinja"]


def merge(run: Path, out: Path, base: str | None = None) -> str:
    """Merge the adapter of a run into its base model and write float16 weights.

    `base` is the unquantized model, for runs on a quantized one: 4-bit weights plus an adapter
    can't be rounded back to 4 bits without loss.

    Raises UserError: the base is quantized, or `out` exists.
    """
    import torch

    adapter, recipe = _finished(run)
    if out.exists():
        raise UserError(f"{out}: exists. Set another --out.")
    reference = _reference(recipe, adapter, base)
    log(f"Merging {adapter} into {reference.model}")
    loaded = load(reference)
    if getattr(loaded.model.config, "quantization_config", None) is not None:
        raise UserError(
            f"{reference.model}: can't merge into quantized weights. Give the unquantized "
            "model with --base, such as Qwen/Qwen2.5-32B-Instruct."
        )
    model = loaded.model.merge_and_unload() if reference.adapter else loaded.model
    with atomic_directory(out) as folder:
        model.to(torch.float16).save_pretrained(folder)
        loaded.tokenizer.save_pretrained(folder)
        shutil.copy(adapter / "README.md", folder)
    done = f"{out}: {reference.model} with {adapter} merged, float16"
    tuned = ModelReference.model_validate(recipe["model"] | {"adapter": str(adapter)})
    if reference.adapter and (tuned.quantization != "none" or reference.model != tuned.model):
        del loaded, model
        done += f"\n{_changed_answers(tuned, out, recipe)}"
    return done


def _changed_answers(tuned: ModelReference, merged: Path, recipe: dict[str, Any]) -> str:
    """Say how many answers differ from those of the quantised model that was tuned."""
    test = resolve_path(str(recipe.get("data", {}).get("test", "")))
    exam = test if test.is_file() else PROJECT / "data" / "embedded" / "test.csv"
    questions = read_exam(exam).questions[:SAMPLE]
    prompt = load_prompt(recipe.get("prompt", "contest"))
    both = [
        [one.answer for one in evaluate(load(reference), questions, prompt, label=label)[0]]
        for label, reference in (
            ("as tuned", tuned),
            ("merged", ModelReference(model=str(merged), max_length=tuned.max_length)),
        )
    ]
    changed = sum(one != other for one, other in zip(*both, strict=True))
    return (
        f"It was tuned on {tuned.quantization if tuned.quantization != 'none' else 'other'} "
        f"weights: {changed} of {len(questions)} answers to {exam.name} are others than as "
        "tuned. The run's own scores need its own weights: ./run.sh predict --adapter "
        f"{tuned.adapter}"
    )


def gguf(model: Path, out: Path, kind: str, llama_cpp: Path | None) -> str:
    """Convert a merged model to GGUF with llama.cpp's converter.

    Raises UserError: llama.cpp is missing or rejects the model.
    """
    if kind not in GGUF_TYPES:
        raise UserError(f"--type {kind}: expected one of {', '.join(GGUF_TYPES)}.")
    if not (model / "config.json").is_file() or (model / CONFIG).exists():
        raise UserError(f"{model}: not a merged model. Run ./run.sh export merge RUN --out DIR")
    converter = (llama_cpp or Path(os.environ.get("LLAMA_CPP", "llama.cpp"))) / CONVERTER
    if not converter.is_file():
        raise UserError(
            f"{converter}: not found. Clone https://github.com/ggml-org/llama.cpp, install its "
            "requirements and give its folder with --llama-cpp."
        )
    with atomic_write(out) as partial:
        command = [str(converter), str(model), "--outfile", str(partial), "--outtype", kind]
        done = subprocess.run(
            [sys.executable, *command], capture_output=True, text=True, check=False
        )
        if done.returncode or not partial.is_file():
            last = (done.stderr.strip() or "no message").splitlines()[-1]
            raise UserError(f"{converter} rejected {model}: {last}")
    return f"{out}: {kind}"


def push(run: Path, name: str, *, public: bool = False) -> str:
    """Upload the adapter and the model card of a run to the Hub, private unless `public`.

    Raises UserError: the Hub is not reachable, nobody is logged in, or the repository is public
    and `public` is false.
    """
    from huggingface_hub import HfApi, get_token

    adapter, _ = _finished(run)
    if not hub_reachable():
        raise UserError("the Hub is not reachable. Connect and run the same command again.")
    if get_token() is None:
        raise UserError("not logged in to the Hub. Run: hf auth login")
    client = HfApi()
    client.create_repo(name, private=not public, exist_ok=True)
    # An existing repository keeps its visibility, whatever create_repo was asked for.
    private = bool(client.repo_info(name).private)
    if not private and not public:
        raise UserError(
            f"{name}: the repository exists and is public. Make it private, choose another "
            "name, or publish the adapter with --public."
        )
    client.upload_folder(repo_id=name, folder_path=adapter, allow_patterns=PUSHED)
    return f"{name}: {adapter}, {'private' if private else 'public'}"


def _finished(run: Path) -> tuple[Path, dict[str, Any]]:
    adapter, config = run / "adapter", run / "config.yaml"
    if not config.is_file() or not any(adapter.glob("*.safetensors")):
        raise UserError(f"{run}: not a finished fine-tuning. Give a folder of runs/finetune.")
    recipe = yaml.safe_load(config.read_text(encoding="utf-8"))["recipe"]
    return adapter, dict(recipe)


def _reference(recipe: dict[str, Any], adapter: Path, base: str | None) -> ModelReference:
    changes: dict[str, Any] = {"quantization": "none", "dtype": "float32", "max_length": None}
    if not (adapter / WEIGHTS).is_file():  # a full model
        return ModelReference(model=str(adapter), **changes)
    settings = json.loads((adapter / CONFIG).read_text(encoding="utf-8"))
    changes["model"] = base or settings["base_model_name_or_path"]
    changes["adapter"] = str(adapter)
    if base is not None:
        changes["revision"] = None
    return ModelReference.model_validate(recipe["model"]).model_copy(update=changes)
