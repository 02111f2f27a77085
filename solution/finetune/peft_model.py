"""What is trained: LoRA, IA3 or every weight, through Unsloth where it supports the method."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from solution.core import UserError, log, resolve_path
from solution.finetune.recipe import Recipe
from solution.models import ModelReference, disable_avx512_repacking, read_shape

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
# Weights outside linear layers and embeddings from which on it is said that they are not tuned.
FUSED_SHARE = 0.2


def resolve_targets(recipe: Recipe) -> Recipe:
    """Return the recipe with the names of the modules that its adapter is put on.

    They are read from the model's configuration. Raises UserError for a name that it lacks.
    """
    if recipe.method == "full":
        return recipe
    shape = read_shape(recipe.model)
    names = tuple(dict.fromkeys(matrix.name for matrix in shape.matrices))
    adapter = recipe.lora if recipe.method == "lora" else recipe.ia3
    wanted = names if adapter.target_modules == "all-linear" else adapter.target_modules
    missing = sorted(set(wanted) - set(names))
    if missing or not names:
        raise UserError(
            f"{recipe.method}.target_modules: {recipe.model.model} has no "
            f"{', '.join(missing) or 'linear layers'}. It has {', '.join(sorted(names))}."
        )
    if shape.rest > FUSED_SHARE * (shape.rest + shape.linear):
        share = shape.rest / (shape.rest + shape.linear + shape.head)
        log(
            f"{recipe.model.model}: {share:.0%} of the weights are no linear layers (fused "
            "experts, for example): the adapter leaves them unchanged."
        )
    if recipe.method == "ia3":
        return recipe
    lora = recipe.lora.model_copy(update={"target_modules": wanted})
    return recipe.model_copy(update={"lora": lora})


def load_base_model(recipe: Recipe, max_length: int, dtype: str) -> Any:
    """Load the recipe's model through Unsloth, without an adapter.

    Full fine-tuning in float16 keeps float32 weights: updates are below float16's precision.
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


def add_adapter(recipe: Recipe, model: Any, max_length: int) -> Any:
    """Make the recipe's parameters trainable; outputs are unchanged at initialisation.

    Raises UserError: `adapter_init` differs.
    """
    if recipe.method == "full":
        return model.requires_grad_(True)
    peft_model = (
        _ia3(recipe, model) if recipe.method == "ia3" else _lora(recipe, model, max_length)
    )
    if recipe.adapter_init is not None:
        load_adapter_weights(peft_model, resolve_path(recipe.adapter_init))
    # The name in the recipe, so that the adapter's config has no path of this machine.
    peft_model.peft_config["default"].base_model_name_or_path = recipe.model.model
    return peft_model


def load_adapter_weights(peft_model: Any, folder: Path) -> None:
    """Replace the adapter's weights by those of `folder`; raise UserError on a mismatch."""
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    name = f"adapter_init: {folder}"
    if not (folder / WEIGHTS).is_file():
        raise UserError(f"{name}: no {WEIGHTS}. Give the adapter folder of a run.")
    remedy = "Use an adapter of this recipe's model, method and rank."
    try:
        report = set_peft_model_state_dict(peft_model, load_file(folder / WEIGHTS))
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise UserError(f"{name}: another base model or shape ({reason}). {remedy}") from error
    unexpected = list(report.unexpected_keys)
    missing = [key for key in report.missing_keys if ".lora_" in key or ".ia3_" in key]
    if unexpected or missing:
        raise UserError(
            f"{name}: {len(unexpected)} unexpected and {len(missing)} missing weights. {remedy}"
        )


def export_adapter(recipe: Recipe, best: Path, last: Path, folder: Path) -> None:
    """Copy the files of the best step into `folder`; `last` is the last checkpoint."""
    if recipe.method == "full":
        kept = [*best.glob("model*.safetensors*"), *best.glob("*config.json")]
        for path in [*last.glob("tokenizer*"), *last.glob("*.jinja"), *kept]:
            shutil.copy(path, folder)
        return
    for name in (WEIGHTS, CONFIG):
        shutil.copy(best / name, folder)


def tuned_reference(recipe: Recipe, folder: Path) -> ModelReference:
    """Return the reference of the result: an adapter on the recipe's model, or a full model."""
    if recipe.method == "full":
        return recipe.model.model_copy(update={"model": str(folder), "revision": None})
    return recipe.model.model_copy(update={"adapter": str(folder)})


def _lora(recipe: Recipe, model: Any, max_length: int) -> Any:
    from unsloth import FastLanguageModel

    lora = recipe.lora
    assert lora.target_modules != "all-linear", "resolve_targets comes first"
    return FastLanguageModel.get_peft_model(
        model,
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        use_rslora=lora.use_rslora,
        target_modules=list(lora.target_modules),
        bias="none",
        use_gradient_checkpointing=recipe.train.gradient_checkpointing,
        random_state=recipe.data.seed,
        max_seq_length=max_length,
        **({"use_dora": True} if lora.use_dora else {}),
    )


def _ia3(recipe: Recipe, model: Any) -> Any:
    """Add IA3 by PEFT, because Unsloth does not support it."""
    from peft import IA3Config, get_peft_model
    from unsloth import FastLanguageModel

    if recipe.train.gradient_checkpointing:
        model.enable_input_require_grads()
    config = IA3Config(
        task_type="CAUSAL_LM",
        target_modules=list(recipe.ia3.target_modules),
        feedforward_modules=list(recipe.ia3.feedforward_modules),
    )
    peft_model = get_peft_model(model, config)
    return FastLanguageModel.for_training(peft_model) or peft_model
