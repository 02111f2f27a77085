"""Loading a model for scoring: safetensors only, complete, and within the free memory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from logging import ERROR, getLogger
from typing import Any

from solution.core import UserError, log, package_version
from solution.models.adapter import attach_adapter, describe_tokenizer
from solution.models.chat_template import ChatTemplate
from solution.models.files import model_folder, translate_errors
from solution.models.hardware import Hardware, detect, pick_dtype
from solution.models.memory_plan import GIB, weight_bytes
from solution.models.pretrained import (
    load_tokenizer,
    quiet,
    read_config,
    source_options,
)
from solution.models.reference import ModelReference
from solution.models.shape import DEFAULT_LENGTH, shape_of

# On a CPU with AVX512-BF16, bitsandbytes logs a request for a package that downloads code.
getLogger("bitsandbytes.backends").setLevel(ERROR)


@dataclass(frozen=True)
class LoadedModel:
    """A model in evaluation mode and its tokenizer; `max_length` includes the answer."""

    model: Any
    tokenizer: Any
    reference: ModelReference
    device: str
    dtype: str
    max_length: int

    @cached_property
    def chat(self) -> ChatTemplate:
        """The one renderer of this model's conversations."""
        return chat_template(self.tokenizer, self.reference)


def chat_template(tokenizer: Any, reference: ModelReference) -> ChatTemplate:
    """Return the renderer of a tokenizer with what the reference says of its template."""
    return ChatTemplate(tokenizer, reference.model, reference.chat_template, reference.add_bos)


def load(reference: ModelReference) -> LoadedModel:
    """Load weights, tokenizer and adapter onto the GPUs, else the CPU.

    Raises:
        UserError: The model is missing, gated, pickled, incomplete, needs remote code or more
            memory than is free, or the adapter was made for another base model.

    """
    hardware = detect()
    dtype = pick_dtype(hardware, reference.dtype)
    model_folder(reference, "weights")  # a download shows its bar; what follows is quiet
    config, difference = read_config(reference), None
    with quiet(), translate_errors(f"model {reference.model}"):
        _check_memory(config, reference, dtype, hardware)
        tokenizer = load_tokenizer(reference)
        model = _load_weights(reference, config, dtype, hardware)
        if reference.adapter is not None:
            model = attach_adapter(model, reference)
            rows = model.get_input_embeddings().weight.shape[0]
            difference = describe_tokenizer(reference, tokenizer, rows)
    if difference:
        log(difference)
    model.eval().requires_grad_(False)
    length = _context_length(config, reference)
    return LoadedModel(model, tokenizer, reference, hardware.device, dtype, length)


def context_length(reference: ModelReference) -> int:
    """Return the longest row in tokens, the answer included, without loading weights."""
    return _context_length(read_config(reference), reference)


def _context_length(config: Any, reference: ModelReference) -> int:
    positions = getattr(config.get_text_config(), "max_position_embeddings", None)
    limit = int(positions or DEFAULT_LENGTH)
    return min(reference.max_length or limit, limit)


def compute_identity(loaded: LoadedModel) -> dict[str, str | None]:
    """Return what determines scores besides the weights, for the key of the score cache."""
    packages = ("torch", "transformers", "bitsandbytes")
    return {
        "device": loaded.device,
        "dtype": loaded.dtype,
        "attention": getattr(loaded.model.config, "_attn_implementation", None),
        **{name: package_version(name) for name in packages},
    }


def disable_avx512_repacking(model: Any) -> None:
    """Make bitsandbytes compute 4-bit weights in the requested dtype on every CPU.

    With AVX512-BF16 it would repack them at the first call, round activations to bfloat16 and
    fail for matrices whose rows are not a multiple of 32.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def _load_weights(
    reference: ModelReference, config: Any, dtype: str, hardware: Hardware
) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    options: dict[str, Any] = {}
    if hardware.cards:
        options["device_map"] = "auto" if len(hardware.cards) > 1 else {"": 0}
    stored = getattr(config, "quantization_config", None)
    if stored is None and reference.quantization != "none":
        options["quantization_config"] = _bitsandbytes(reference.quantization, dtype)
    elif stored is not None and stored.get("quant_method") == "bitsandbytes":
        # Most 4-bit checkpoints ask for bfloat16, which a V100 does not have.
        stored["bnb_4bit_compute_dtype"] = dtype
    model, report = AutoModelForCausalLM.from_pretrained(
        **source_options(reference, "weights"),
        **options,
        config=config,
        dtype=getattr(torch, dtype),
        use_safetensors=True,
        ignore_mismatched_sizes=True,  # reported, and an error below
        output_loading_info=True,
    )
    _check_complete(reference.model, report)
    disable_avx512_repacking(model)
    return model


def _bitsandbytes(quantization: str, dtype: str) -> Any:
    import torch
    from transformers import BitsAndBytesConfig

    if quantization == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, dtype),
    )


def _check_memory(
    config: Any, reference: ModelReference, dtype: str, hardware: Hardware
) -> None:
    needed = weight_bytes(shape_of(config, reference), reference.quantization, dtype)
    if needed > hardware.free_memory:
        kind = "GPU" if hardware.cards else "main"
        raise UserError(
            f"model {reference.model}: its weights need {needed / GIB:.1f} GiB, and "
            f"{hardware.free_memory / GIB:.1f} GiB of {kind} memory are free. Use a smaller "
            "model, quantization: 4bit, or a machine with more memory."
        )


def _check_complete(name: str, report: dict[str, Any]) -> None:
    """Reject weights that transformers has filled with random numbers."""
    for reason, keys in (
        ("lacks", report["missing_keys"]),
        ("has other shapes than its config.json for", report["mismatched_keys"]),
    ):
        if keys:
            first = ", ".join(sorted(str(key) for key in keys)[:3])
            raise UserError(
                f"model {name}: the checkpoint {reason} {len(keys)} of the model's weights "
                f"({first}, …). Use a complete checkpoint of a causal language model."
            )
