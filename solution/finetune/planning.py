"""From a recipe to its memory plan, and to the longest training rows that fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from solution.core import UserError, load_config, log, resolve_config
from solution.finetune.recipe import LINEAR_MODULES, Recipe, with_tiny_model
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

# What a program gets of each card (GiB), and whether it computes in bfloat16.
CARDS: dict[str, tuple[float, bool]] = {
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
USUAL_LENGTH, SHORTEST = 2048, 128


def plan(
    recipe: str | None,
    model: str | None,
    card: str | None,
    length: int | None,
    overrides: Sequence[str] = (),
) -> str:
    """The memory plan of a recipe, or of 4-bit LoRA on a model, as text.

    `card` is one of CARDS or a number of GiB; without one this machine's own memory counts.
    Raises UserError where recipe, model or card is unknown.
    """
    if (recipe is None) == (model is None):
        raise UserError("Give either --recipe or --model.")
    memory, hardware, dtype = _memory(card)
    on_card = hardware is None or bool(hardware.cards)
    if model is not None:
        reference = ModelReference(model=model, quantization="4bit")
        geometry = read_shape(reference)
        names = {matrix.name for matrix in geometry.matrices}
        known = tuple(name for name in LINEAR_MODULES if name in names)
        tuning = FinetuneSpec(
            length or min(USUAL_LENGTH, geometry.positions),
            targets=known or tuple(sorted(names)),
            quantization="4bit",
            dtype=dtype,
            optimizer="adamw_8bit",
            loss="fused" if on_card else "full",
        )
        return render(plan_memory(geometry, tuning, memory))
    read = with_tiny_model(
        load_config(resolve_config("recipes", str(recipe)), Recipe, overrides)
    )
    geometry = read_shape(read.model)
    wanted = read.train.max_seq_length
    rows = wanted if isinstance(wanted, int) else read.model.max_length
    dtype = dtype if read.model.dtype == "auto" else read.model.dtype
    tuning = tuning_of(read, geometry, length or rows or USUAL_LENGTH, dtype, on_card=on_card)
    return render(plan_memory(geometry, tuning, memory))


def tuning_of(
    recipe: Recipe, geometry: ModelShape, length: int, dtype: str, *, on_card: bool
) -> FinetuneSpec:
    """What a recipe asks of memory for rows of `length` tokens."""
    wanted = recipe.lora if recipe.method == "lora" else recipe.ia3
    quantization: Literal["none", "4bit", "8bit"] = recipe.model.quantization
    return FinetuneSpec(
        length=length,
        batch=recipe.train.batch_size,
        method=recipe.method,
        rank=recipe.lora.r,
        targets=wanted.target_modules,
        feedforward=recipe.ia3.feedforward_modules,
        quantization="4bit" if geometry.is_4bit else quantization,
        dtype=dtype,
        optimizer=recipe.train.optimizer,
        checkpointing=recipe.train.gradient_checkpointing,
        loss="fused" if on_card else "full",
    )


def row_length(recipe: Recipe, max_length: int, dtype: str) -> int:
    """Tokens of a training row at most, on this machine; `auto` as the memory plan says.

    Raises UserError where not even short rows fit.
    """
    wanted = recipe.train.max_seq_length
    if wanted != "auto":
        return min(wanted or max_length, max_length)
    geometry, hardware = read_shape(recipe.model), detect()
    on_card = bool(hardware.cards)
    tuning = tuning_of(recipe, geometry, max_length, dtype, on_card=on_card)
    planned = plan_memory(geometry, tuning, _whole(hardware))
    if planned.longest < min(SHORTEST, max_length):
        raise UserError(
            f"train.max_seq_length auto: no row of {SHORTEST} tokens fits.\n{render(planned)}\n"
            "Lower train.batch_size or lora.r, set model.quantization=4bit or "
            "train.gradient_checkpointing=unsloth."
        )
    found = min(planned.longest, max_length)
    log(f"train.max_seq_length auto: {found} tokens fit ({max_length} at most).")
    return found


def memory_beside_plan(
    recipe: Recipe, shape: Mapping[str, Any], training: Mapping[str, Any]
) -> dict[str, Any]:
    """What the plan said of this training and what it took, in GiB, and on what device.

    Without a card the measured peak is the whole process, its libraries included.
    """
    geometry, hardware = read_shape(recipe.model), detect()
    on_card = bool(hardware.cards)
    tuning = tuning_of(recipe, geometry, shape["row_length"], shape["dtype"], on_card=on_card)
    planned = plan_memory(geometry, tuning, _whole(hardware)).total
    return {
        "device": hardware.device,
        "row_length": shape["row_length"],
        "planned_gib": round(planned / GIB, 3),
        "measured_gib": training["peak_memory_gib"],
    }


def _memory(card: str | None) -> tuple[float, Hardware | None, str]:
    """Bytes to plan for, this machine where no card was named, and the dtype there."""
    if card is None:
        hardware = detect()
        return _whole(hardware), hardware, pick_dtype(hardware)
    if card.lower() in CARDS:
        amount, bfloat16 = CARDS[card.lower()]
        return amount * GIB, None, "bfloat16" if bfloat16 else "float16"
    try:
        amount = float(card)
    except ValueError:
        amount = 0.0
    if not amount > 0:
        names = ", ".join(CARDS)
        raise UserError(f"--card {card}: expected a number of GiB or one of {names}.")
    return amount * GIB, None, "float16"


def _whole(hardware: Hardware) -> float:
    """The smallest card's memory, else the machine's: not what is free, which changes."""
    return float(min((card.memory for card in hardware.cards), default=hardware.memory))
