"""The shape of a model: the sizes of its weight matrices, read from its config.json only."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

from solution.core import UserError, resolve_path
from solution.models.pretrained import read_config
from solution.models.reference import ModelReference, locate

KNOWN_MODELS = Path(__file__).with_name("architectures.yaml")
QUANTISED_NAME = re.compile(r"-(unsloth-)?bnb-4bit$")
DEFAULT_LENGTH = 2048
# Norms per decoder layer of architectures with the linear layers of Llama.
LLAMA_NORMS = {"llama": 2, "mistral": 2, "qwen2": 2, "gemma2": 4}


@dataclass(frozen=True)
class Matrix:
    """One linear layer of the decoder: the last part of its name and its sizes."""

    name: str
    inputs: int
    outputs: int


# Linear layers, weights of embedding and LM head, other weights.
Counts = tuple[tuple[Matrix, ...], int, int]


@dataclass(frozen=True)
class ModelShape:
    """Sizes that memory depends on, in elements."""

    name: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    positions: int
    matrices: tuple[Matrix, ...]
    """The linear layers of all decoder layers, without the LM head."""
    head: int
    """Weights of embedding and LM head; counted once where they are tied."""
    rest: int
    """Norms and biases."""
    bits: int
    """Bits per weight of a quantised checkpoint, else 16."""

    @property
    def linear(self) -> int:
        """Weights of all matrices, which are what quantisation compresses."""
        return sum(matrix.inputs * matrix.outputs for matrix in self.matrices)

    @property
    def layer_matrices(self) -> tuple[Matrix, ...]:
        """The matrices of one decoder layer."""
        return self.matrices[: len(self.matrices) // self.layers]

    @property
    def is_4bit(self) -> bool:
        """Whether the checkpoint is quantised to 4 bits."""
        return self.bits == 4


def read_shape(reference: ModelReference) -> ModelShape:
    """Read the shape of a folder, a config.json, a model of architectures.yaml or a hub id.

    Raises:
        UserError: The model is unknown.

    """
    path = resolve_path(reference.model)
    known = None if path.exists() else _known_model(reference.model)
    if known is not None:
        return shape_of(SimpleNamespace(**known), reference)
    if path.is_file() or locate(reference.model, "model") is not None:
        values = _read_json(path if path.is_file() else path / "config.json")
        return shape_of(SimpleNamespace(**values), reference)
    try:
        return shape_of(read_config(reference), reference)
    except UserError as error:
        names = ", ".join(name for entry in _known_models() for name in entry["names"])
        raise UserError(f"{error} Known without the hub: {names}.") from error


def shape_of(config: Any, reference: ModelReference) -> ModelShape:
    """Return the shape of a transformers configuration, or of the values of a config.json."""
    counts = _count_by_formula(config)
    settings = getattr(config, "quantization_config", None) or {}
    if counts is None:
        if isinstance(config, SimpleNamespace):
            config = _build_config(vars(config), reference.model)
        counts = _count_modules(config, reference)
        config = config.get_text_config()
    matrices, head, rest = counts
    heads = config.num_attention_heads
    is_4bit = settings.get("load_in_4bit") or QUANTISED_NAME.search(reference.model)
    return ModelShape(
        name=reference.model,
        layers=config.num_hidden_layers,
        hidden=config.hidden_size,
        heads=heads,
        kv_heads=getattr(config, "num_key_value_heads", None) or heads,
        head_dim=getattr(config, "head_dim", None) or config.hidden_size // heads,
        vocabulary=config.vocab_size,
        positions=getattr(config, "max_position_embeddings", None) or DEFAULT_LENGTH,
        matrices=matrices,
        head=head,
        rest=rest,
        bits=4 if is_4bit else int(settings.get("bits", 8)) if settings else 16,
    )


def _count_by_formula(config: Any) -> Counts | None:
    """Count the weights of a common architecture without importing torch.

    None for other architectures, and where a size is missing or unusual.
    """
    try:
        kind, hidden, inner = config.model_type, config.hidden_size, config.intermediate_size
        heads, layers = config.num_attention_heads, config.num_hidden_layers
        head = config.vocab_size * hidden * (1 if config.tie_word_embeddings else 2)
        kv_heads = heads if kind == "gpt_neox" else config.num_key_value_heads or heads
        head_dim = config.head_dim if kind == "gemma2" else getattr(config, "head_dim", None)
    except AttributeError:
        return None
    head_dim = head_dim or hidden // heads
    query, key = heads * head_dim, kv_heads * head_dim
    biased = any(getattr(config, key, False) for key in ("attention_bias", "mlp_bias"))
    if kind in LLAMA_NORMS and not biased:
        sizes = {"q_proj": (hidden, query), "k_proj": (hidden, key), "v_proj": (hidden, key)}
        sizes |= {"o_proj": (query, hidden), "gate_proj": (hidden, inner)}
        sizes |= {"up_proj": (hidden, inner), "down_proj": (inner, hidden)}
        biases = query + 2 * key if kind == "qwen2" else 0
        rest = layers * (LLAMA_NORMS[kind] * hidden + biases) + hidden
    elif kind == "gpt_neox" and getattr(config, "attention_bias", True):
        sizes = {"query_key_value": (hidden, 3 * hidden), "dense": (hidden, hidden)}
        sizes |= {"dense_h_to_4h": (hidden, inner), "dense_4h_to_h": (inner, hidden)}
        rest = layers * (9 * hidden + inner) + 2 * hidden
    else:
        return None
    return tuple(Matrix(name, *size) for name, size in sizes.items()) * layers, head, rest


def _count_modules(config: Any, reference: ModelReference) -> Counts:
    """Build the model on the meta device, without weights, and count its modules."""
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.pytorch_utils import Conv1D

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(
            config, trust_remote_code=reference.trust_remote_code
        )
    ends = [model.get_output_embeddings()]
    ends += [one for one in model.modules() if isinstance(one, torch.nn.Embedding)]
    embeddings = {id(module.weight): int(module.weight.numel()) for module in ends if module}
    matrices = tuple(
        Matrix(name.rpartition(".")[2], *_sizes(module))
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear | Conv1D) and id(module.weight) not in embeddings
    )
    head = sum(embeddings.values())
    total = sum(int(weight.numel()) for weight in model.parameters())
    return matrices, head, total - head - sum(m.inputs * m.outputs for m in matrices)


def _sizes(module: Any) -> tuple[int, int]:
    """Inputs and outputs of a linear layer; GPT-2's Conv1D holds its weight transposed."""
    if hasattr(module, "in_features"):
        return module.in_features, module.out_features
    return module.nx, module.nf


def _build_config(values: dict[str, Any], name: str) -> Any:
    from transformers import AutoConfig

    try:
        return AutoConfig.for_model(**values)
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(
            f"{name}: not the config.json of a model that the installed transformers knows "
            f"({error}). Give a model folder, its config.json or a hub id."
        ) from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}).") from error
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: not a config.json: {error}.") from error


def _known_models() -> list[dict[str, Any]]:
    return list(yaml.safe_load(KNOWN_MODELS.read_text(encoding="utf-8")))


def _known_model(name: str) -> dict[str, Any] | None:
    """Return the configuration of a public model listed in architectures.yaml."""
    bare = QUANTISED_NAME.sub("", name.rpartition("/")[2]).lower()
    for entry in _known_models():
        if bare in (known.lower() for known in entry.pop("names")):
            return entry
    return None
