"""How much memory a model's weights need, counted before anything large is downloaded."""

from __future__ import annotations

from typing import Any

from solution.core import UserError
from solution.models.hardware import Hardware
from solution.models.reference import ModelReference

GIB = 2**30
# Bytes a weight: 4-bit values and their double-quantised scales.
FOUR_BIT = 0.52


def check_memory(
    config: Any, reference: ModelReference, dtype: str, hardware: Hardware
) -> None:
    """Raise UserError where the weights alone are larger than the memory that is free."""
    needed = weights_bytes(config, reference, dtype)
    free = sum(card.free for card in hardware.cards) if hardware.cards else hardware.free
    if needed > free:
        place = "GPU" if hardware.cards else "main"
        raise UserError(
            f"model {reference.model}: its weights need {needed / GIB:.1f} GiB and "
            f"{free / GIB:.1f} GiB of {place} memory are free. "
            "Take a smaller model, quantization: 4bit, or a machine with more memory."
        )


def weights_bytes(config: Any, reference: ModelReference, dtype: str) -> float:
    """Bytes of the weights as they will lie in memory, from the architecture alone."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(
            config, trust_remote_code=reference.trust_remote_code
        )
    whole = float(getattr(torch, dtype).itemsize)
    packed = _bytes_a_packed_weight(config, reference, whole)
    head = model.get_output_embeddings()
    linear = {
        id(module.weight)
        for module in model.modules()
        if isinstance(module, torch.nn.Linear) and module is not head
    }
    return sum(
        int(weight.numel()) * (packed if id(weight) in linear else whole)
        for weight in model.parameters()
    )


def _bytes_a_packed_weight(config: Any, reference: ModelReference, whole: float) -> float:
    stored = getattr(config, "quantization_config", None)
    if stored is not None:
        bits = 4 if stored.get("load_in_4bit") else stored.get("bits", 8)
        return FOUR_BIT if bits == 4 else bits / 8
    return {"none": whole, "8bit": 1.0, "4bit": FOUR_BIT}[reference.quantization]
