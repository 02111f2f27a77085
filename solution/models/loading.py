"""From a reference to a model in memory, ready for scoring."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from logging import ERROR, getLogger
from pathlib import Path
from typing import Any

from solution.core import UserError
from solution.models.adapter import attach_adapter
from solution.models.failures import explained
from solution.models.hardware import detect, pick_dtype
from solution.models.memory import check_memory, weights_bytes
from solution.models.reference import ModelReference, hub_reachable, locate

UNSTATED_LENGTH = 2048

# On a CPU with AVX512-BF16, bitsandbytes asks for a package that fetches code from the hub.
getLogger("bitsandbytes.backends").setLevel(ERROR)


@dataclass(frozen=True)
class LoadedModel:
    """A model in evaluation mode with its tokenizer; `max_length` in tokens, answer too."""

    model: Any
    tokenizer: Any
    reference: ModelReference
    device: str
    dtype: str
    max_length: int


def load(reference: ModelReference) -> LoadedModel:
    """Load weights (safetensors only), tokenizer and adapter: onto the GPU, else the CPU.

    Raises UserError where the model is absent, gated, needs its own code, is kept as pickle,
    lacks weights or does not fit into memory, and where the adapter belongs to another base.
    """
    hardware = detect()
    device, dtype = hardware.device, pick_dtype(hardware, reference.dtype)
    folder = locate(reference.model, "model")
    if folder is not None:
        _check_folder(folder)
    with quiet(), explained(f"model {reference.model}"):
        config = _config(reference)
        if _quantised(config):
            _compute_in(config, dtype)
        check_memory(config, reference, dtype, hardware)
        tokenizer = _tokenizer(reference)
        model = _weights(reference, config, dtype, device)
        if reference.adapter is not None:
            model = attach_adapter(model, reference.adapter)
    model.eval().requires_grad_(False)
    length = _max_length(config, reference.max_length)
    return LoadedModel(model, tokenizer, reference, device, dtype, length)


def keep_layout(model: Any) -> None:
    """Let four-bit weights be computed in our dtype on every CPU.

    On one with AVX512-BF16, bitsandbytes would repack them at the first call: it then rounds
    what it multiplies to bfloat16, and fails where a matrix has no multiple of 32 rows.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def read_config(reference: ModelReference) -> Any:
    """The model's config alone; raises UserError where it is absent or needs its own code."""
    locate(reference.model, "model")
    with quiet(), explained(f"model {reference.model}"):
        return _config(reference)


def weights_needed(reference: ModelReference, dtype: str) -> float:
    """Bytes that the weights of a model take in memory; only its config is read.

    Raises UserError where the model is absent, gated or needs its own code.
    """
    locate(reference.model, "model")
    with quiet(), explained(f"model {reference.model}"):
        return weights_bytes(_config(reference), reference, dtype)


def load_tokenizer(reference: ModelReference) -> Any:
    """The tokenizer alone; raises UserError where it is absent or needs its own code."""
    locate(reference.model, "model")
    with quiet(), explained(f"model {reference.model}"):
        return _tokenizer(reference)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers from printing bars and warnings: what matters is raised."""
    import warnings

    from transformers.utils import logging

    before = logging.get_verbosity()
    bars = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()


def _where(reference: ModelReference) -> dict[str, Any]:
    folder = locate(reference.model, "model")
    return {
        "pretrained_model_name_or_path": str(folder or reference.model),
        "revision": reference.revision or "main",
        "trust_remote_code": reference.trust_remote_code,
        "local_files_only": folder is not None or not hub_reachable(),
    }


def _config(reference: ModelReference) -> Any:
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(**_where(reference))


def _tokenizer(reference: ModelReference) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(**_where(reference))


def _weights(reference: ModelReference, config: Any, dtype: str, device: str) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    options: dict[str, Any] = {}
    if device == "cuda":
        options["device_map"] = "auto" if torch.cuda.device_count() > 1 else {"": 0}
    if reference.quantization != "none" and not _quantised(config):
        options["quantization_config"] = _bitsandbytes(reference.quantization, dtype)
    model, report = AutoModelForCausalLM.from_pretrained(
        **_where(reference),
        **options,
        config=config,
        dtype=getattr(torch, dtype),
        use_safetensors=True,
        ignore_mismatched_sizes=True,  # they are reported, and refused below
        output_loading_info=True,
    )
    _check_complete(reference.model, report)
    keep_layout(model)
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


def _quantised(config: Any) -> bool:
    return getattr(config, "quantization_config", None) is not None


def _compute_in(config: Any, dtype: str) -> None:
    """Most 4-bit checkpoints ask for bfloat16, which a V100 does not have: ask for ours."""
    settings = config.quantization_config
    if settings.get("quant_method") == "bitsandbytes":
        settings["bnb_4bit_compute_dtype"] = dtype


def _check_folder(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder}: no config.json, so this is no model folder.")
    if any(folder.glob("*.safetensors")):
        return
    pickles = sorted([*folder.glob("*.bin"), *folder.glob("*.pt"), *folder.glob("*.pth")])
    if pickles:
        raise UserError(
            f"{pickles[0]}: pickle weights are not loaded, they can run code. Save the model "
            "again with save_pretrained(), which writes model.safetensors."
        )
    raise UserError(f"{folder}: no weights (*.safetensors). Copy or download them again.")


def _check_complete(name: str, report: dict[str, Any]) -> None:
    """Transformers fills what a checkpoint lacks with random numbers; we don't score those."""
    for kind, faults in (
        ("lacks", report["missing_keys"]),
        ("has other shapes than its config.json for", report["mismatched_keys"]),
    ):
        if faults:
            first = ", ".join(sorted(str(fault) for fault in faults)[:3])
            raise UserError(
                f"model {name}: the checkpoint {kind} {len(faults)} of the model's weights "
                f"({first}, …). Use a complete checkpoint of a causal language model."
            )


def _max_length(config: Any, wanted: int | None) -> int:
    text = config.get_text_config()
    positions = getattr(text, "max_position_embeddings", None) or UNSTATED_LENGTH
    return min(wanted or positions, positions)
