"""From a recipe to its memory plan, and to the longest training rows that fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from solution.core import UserError, load_config, log, resolve_config
from solution.finetune.peft_model import resolve_targets
from solution.finetune.recipe import Recipe, create_tiny_model
from solution.models import (
    GIB,
    FinetuneSpec,
    Hardware,
    ModelReference,
    ModelShape,
    detect,
    pick_dtype,
    plan_memory,
    read_shape,
    render,
)

# Usable memory in GiB and whether the GPU supports bfloat16.
GPUS: dict[str, tuple[float, bool]] = {
    "v100": (31.7, False),
    "v100-16": (15.8, False),
    "t4": (14.7, False),
    "l4": (22.0, True),
    "rtx3090": (23.7, True),
    "rtx4090": (23.6, True),
    "a100-40": (39.4, True),
    "a100-80": (79.2, True),
    "h100": (79.1, True),
}
DEFAULT_LENGTH, MIN_LENGTH = 2048, 128


def plan(
    recipe: str | None,
    model: str | None,
    card: str | None,
    length: int | None,
    overrides: Sequence[str] = (),
) -> str:
    """Format the memory plan of a recipe, or of 4-bit LoRA on a model.

    `card` is a key of GPUS or a number of GiB; without one, this machine's memory counts.

    Raises UserError: an unknown recipe, model or card.
    """
    if (recipe is None) == (model is None):
        raise UserError("Give either --recipe or --model.")
    memory, dtype, on_gpu = _device(card)
    if model is not None:
        shape = read_shape(ModelReference(model=model, quantization="4bit"))
        return render(plan_memory(shape, _default_spec(shape, length, dtype, on_gpu), memory))
    config = load_config(resolve_config("recipes", str(recipe)), Recipe, overrides)
    config = resolve_targets(create_tiny_model(config))
    shape, wanted = read_shape(config.model), config.train.max_seq_length
    rows = wanted if isinstance(wanted, int) else config.model.max_length
    dtype = dtype if config.model.dtype == "auto" else config.model.dtype
    spec = finetune_spec(config, shape, length or rows or DEFAULT_LENGTH, dtype, on_gpu)
    return render(plan_memory(shape, spec, memory))


def finetune_spec(
    recipe: Recipe, shape: ModelShape, length: int, dtype: str, on_gpu: bool
) -> FinetuneSpec:
    """Return what the memory of a recipe depends on, for rows of `length` tokens."""
    adapter = recipe.lora if recipe.method == "lora" else recipe.ia3
    return FinetuneSpec(
        length=length,
        batch=recipe.train.batch_size,
        method=recipe.method,
        rank=recipe.lora.r,
        targets=tuple(adapter.target_modules),
        feedforward=recipe.ia3.feedforward_modules,
        quantization="4bit" if shape.is_4bit else recipe.model.quantization,
        dtype=dtype,
        optimizer=recipe.train.optim,
        checkpointing=recipe.train.gradient_checkpointing,
        loss="fused" if on_gpu else "full",
    )


def plan_training(recipe: Recipe, max_length: int, dtype: str) -> dict[str, Any]:
    """Return the maximum `row_length` of a training, its `planned_gib` and the `device`.

    Raises UserError: `max_seq_length: auto`, and not even short rows fit.
    """
    shape, hardware = read_shape(recipe.model), detect()

    def planned(length: int) -> Any:
        spec = finetune_spec(recipe, shape, length, dtype, bool(hardware.cards))
        return plan_memory(shape, spec, device_memory(hardware))

    wanted = recipe.train.max_seq_length
    length = min(wanted, max_length) if isinstance(wanted, int) else max_length
    if wanted == "auto":
        longest = planned(max_length)
        if longest.longest < min(MIN_LENGTH, max_length):
            raise UserError(
                f"train.max_seq_length auto: no row of {MIN_LENGTH} tokens fits.\n"
                f"{render(longest)}\nLower train.batch_size or lora.r, set "
                "model.quantization=4bit or train.gradient_checkpointing=unsloth."
            )
        length = min(longest.longest, max_length)
        log(f"train.max_seq_length auto: {length} tokens fit ({max_length} at most).")
    total = round(planned(length).total / GIB, 3)
    return {"row_length": length, "planned_gib": total, "device": hardware.device}


def device_memory(hardware: Hardware) -> float:
    """Return the memory of the smallest GPU, else of the machine, in bytes."""
    return float(min((card.memory for card in hardware.cards), default=hardware.memory))


def _default_spec(
    shape: ModelShape, length: int | None, dtype: str, on_gpu: bool
) -> FinetuneSpec:
    return FinetuneSpec(
        length or min(DEFAULT_LENGTH, shape.positions),
        targets=tuple(dict.fromkeys(matrix.name for matrix in shape.matrices)),
        quantization="4bit",
        dtype=dtype,
        optimizer="adamw_8bit",
        loss="fused" if on_gpu else "full",
    )


def _device(card: str | None) -> tuple[float, str, bool]:
    """Return memory in bytes, the dtype, and whether it is a GPU."""
    if card is None:
        hardware = detect()
        return device_memory(hardware), pick_dtype(hardware), bool(hardware.cards)
    if card.lower() in GPUS:
        amount, bfloat16 = GPUS[card.lower()]
        return amount * GIB, "bfloat16" if bfloat16 else "float16", True
    try:
        amount = float(card)
    except ValueError:
        amount = 0.0
    if not amount > 0:
        raise UserError(f"--card {card}: expected a number of GiB or one of {', '.join(GPUS)}.")
    return amount * GIB, "float16", True
