"""What is trained: LoRA and its kin, IA3, or every weight; through Unsloth where it can."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from solution.core import UserError, resolve_path, write_json
from solution.finetune.recipe import Recipe
from solution.models import ModelReference, disable_avx512_repacking

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
INITIAL = "initial"  # beside the checkpoints: the first weights of a PiSSA adapter


def load_model(recipe: Recipe, max_length: int, dtype: str) -> Any:
    """The recipe's model through Unsloth, without an adapter.

    Full tuning in float16 keeps float32 weights: an update is smaller than float16 resolves.
    """
    import torch
    from unsloth import FastLanguageModel

    reference, full = recipe.model, recipe.method == "full"
    local = resolve_path(reference.model)
    model, _ = FastLanguageModel.from_pretrained(
        str(local) if local.is_dir() else reference.model,
        revision=reference.revision,
        max_seq_length=max_length,
        dtype=torch.float32 if full and dtype == "float16" else getattr(torch, dtype),
        load_in_4bit=reference.quantization == "4bit",
        load_in_8bit=reference.quantization == "8bit",
        full_finetuning=full,
        trust_remote_code=reference.trust_remote_code,
        use_exact_model_name=True,
        use_gradient_checkpointing=recipe.train.gradient_checkpointing,
        random_state=recipe.data.seed,
    )
    disable_avx512_repacking(model)
    return model


def attach(recipe: Recipe, model: Any, max_length: int, place: Path) -> Any:
    """The model with what the recipe trains made trainable; it answers as before.

    `place` keeps what an initialisation needs at the end. Raises UserError where the model has
    no module of the recipe's names.
    """
    _check_modules(recipe, model)
    if recipe.method == "full":
        return model.requires_grad_(True)
    tuned = _ia3(recipe, model) if recipe.method == "ia3" else _lora(recipe, model, max_length)
    if recipe.method == "lora" and recipe.lora.init == "loftq":
        _compensate(recipe, tuned)
    if recipe.start is not None:
        _go_on_from(tuned, resolve_path(recipe.start))
    # As the recipe says it, so that an adapter that is passed on holds no path of this machine.
    tuned.peft_config["default"].base_model_name_or_path = recipe.model.model
    if recipe.method == "lora" and recipe.lora.init == "pissa":
        tuned.save_pretrained(place / INITIAL)
    return tuned


def _go_on_from(tuned: Any, folder: Path) -> None:
    """Put an earlier adapter's weights in place of the fresh ones.

    Raises UserError where it is absent, for another base or of another shape.
    """
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    if not (folder / WEIGHTS).is_file():
        raise UserError(f"start: {folder}: no {WEIGHTS}. Name the adapter folder of a run.")
    try:
        report = set_peft_model_state_dict(tuned, load_file(folder / WEIGHTS))
    except RuntimeError as error:
        told = str(error).strip().splitlines()[-1].strip()
        raise UserError(
            f"start: {folder}: another base or shape ({told}). Take an adapter of this "
            "recipe's model, method and rank."
        ) from error
    strange = list(report.unexpected_keys)
    missing = [key for key in report.missing_keys if ".lora_" in key or ".ia3_" in key]
    if strange or missing:
        raise UserError(
            f"start: {folder}: {len(strange)} of its weights have no place in this model and "
            f"{len(missing)} are missing. Take an adapter of this recipe's model and method."
        )


def finish(recipe: Recipe, best: Path, last: Path, folder: Path) -> None:
    """Put the files that a finished training leaves into `folder`, loadable on the plain base.

    `best` is what is kept of the best step, `last` the last checkpoint (perhaps the same).
    """
    if recipe.method == "full":
        kept = [*best.glob("model*.safetensors*"), *best.glob("*config.json")]
        for path in [*last.glob("tokenizer*"), *last.glob("*.jinja"), *kept]:
            shutil.copy(path, folder)
        return
    for name in (WEIGHTS, CONFIG):
        shutil.copy(best / name, folder)
    if recipe.method == "lora" and recipe.lora.init == "pissa":
        _as_difference(folder, last.with_name(INITIAL))


def tuned_reference(recipe: Recipe, folder: Path) -> ModelReference:
    """How the result is loaded: an adapter on the recipe's model, or a model of its own."""
    if recipe.method == "full":
        return recipe.model.model_copy(update={"model": str(folder), "revision": None})
    return recipe.model.model_copy(update={"adapter": str(folder)})


def _lora(recipe: Recipe, model: Any, max_length: int) -> Any:
    from unsloth import FastLanguageModel

    lora = recipe.lora
    extra: dict[str, Any] = {"use_dora": True} if lora.dora else {}
    if lora.init == "pissa":
        extra["init_lora_weights"] = "pissa"
    return FastLanguageModel.get_peft_model(
        model,
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        use_rslora=lora.rslora,
        target_modules=list(lora.target_modules),
        bias="none",
        use_gradient_checkpointing=recipe.train.gradient_checkpointing,
        random_state=recipe.data.seed,
        max_seq_length=max_length,
        **extra,
    )


def _ia3(recipe: Recipe, model: Any) -> Any:
    """Unsloth has no IA3, so PEFT puts it on the model that Unsloth loaded."""
    from peft import IA3Config, get_peft_model
    from unsloth import FastLanguageModel

    if recipe.train.gradient_checkpointing:
        model.enable_input_require_grads()
    config = IA3Config(
        task_type="CAUSAL_LM",
        target_modules=list(recipe.ia3.target_modules),
        feedforward_modules=list(recipe.ia3.feedforward_modules),
    )
    tuned = get_peft_model(model, config)
    return FastLanguageModel.for_training(tuned) or tuned


def _compensate(recipe: Recipe, tuned: Any) -> None:
    """LoftQ: the first adapter makes up for what four bits lose of the weights."""
    import torch
    from huggingface_hub import snapshot_download
    from peft import replace_lora_weights_loftq

    if not torch.cuda.is_available():  # PEFT quantises on a card, whatever it is given
        raise UserError("lora.init loftq: needs a CUDA card. Take lora.init default here.")
    local = resolve_path(recipe.model.model)
    if not local.is_dir():
        local = Path(snapshot_download(recipe.model.model, revision=recipe.model.revision))
    files = [local / "model.safetensors", local / "model.safetensors.index.json"]
    weights = next((path for path in files if path.is_file()), None)
    if weights is None:
        raise UserError(
            f"lora.init loftq: {recipe.model.model} holds no model.safetensors in full "
            "precision to compare with. Name the model that is not quantised yet."
        )
    try:
        replace_lora_weights_loftq(tuned, model_path=str(weights))
    except (KeyError, ValueError, RuntimeError) as error:
        raise UserError(
            f"lora.init loftq: {recipe.model.model} can't be compared with its 4-bit form "
            f"({error}). Name the model that is not quantised yet, or take lora.init default."
        ) from error


def _as_difference(folder: Path, initial: Path) -> None:
    """A PiSSA adapter as plain LoRA of twice the rank: what it is now less what it was first.

    PiSSA takes its first product out of the base weights; taking it out of the adapter instead
    leaves the base as it was published (PEFT documents the same conversion).
    """
    import torch
    from safetensors.torch import load_file, save_file

    now, first = load_file(folder / WEIGHTS), load_file(initial / WEIGHTS)
    merged = {}
    for name, weight in now.items():
        if ".lora_A." in name:
            merged[name] = torch.cat([weight, first[name]], dim=0)
        else:
            merged[name] = torch.cat([weight, -first[name]], dim=1)
    save_file(merged, folder / WEIGHTS, metadata={"format": "pt"})
    settings = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    scale = 2**0.5 if settings["use_rslora"] else 2
    changes = {"r": settings["r"] * 2, "lora_alpha": settings["lora_alpha"] * scale}
    write_json(folder / CONFIG, {**settings, **changes, "init_lora_weights": True})


def _check_modules(recipe: Recipe, model: Any) -> None:
    if recipe.method == "full":
        return
    wanted = recipe.lora if recipe.method == "lora" else recipe.ia3
    there = {name.rpartition(".")[2] for name, _ in model.named_modules()}
    absent = sorted(set(wanted.target_modules) - there)
    if absent:
        linear = sorted(
            {
                n.rpartition(".")[2]
                for n, m in model.named_modules()
                if hasattr(m, "in_features")
            }
        )
        raise UserError(
            f"{recipe.method}.target_modules: the model has no {', '.join(absent)}. "
            f"It has {', '.join(linear)}."
        )
