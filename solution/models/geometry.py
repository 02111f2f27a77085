"""The shape of a model from its config.json alone: its matrices, and what they hold."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from solution.core import UserError, resolve_path
from solution.models.reference import ModelReference, locate

ARCHITECTURES = Path(__file__).with_name("architectures.yaml")
QUANTISED_NAME = re.compile(r"-(unsloth-)?bnb-4bit$")


@dataclass(frozen=True)
class Matrix:
    """One linear layer of the decoder: the last part of its name, and its shape."""

    name: str
    inputs: int
    outputs: int


@dataclass(frozen=True)
class ModelShape:
    """What the arithmetic of memory needs to know of a model; sizes in numbers, not bytes."""

    name: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    positions: int
    matrices: tuple[Matrix, ...]
    """The linear layers of all decoder layers, without the head."""
    head: int
    """Weights of embedding and head; one where the two are the same."""
    rest: int
    """Norms and biases."""
    packed: bool
    """Whether the checkpoint itself is quantised to four bits."""

    @property
    def linear(self) -> int:
        """Weights of all matrices, which is what quantisation packs."""
        return sum(matrix.inputs * matrix.outputs for matrix in self.matrices)

    @property
    def a_layer(self) -> tuple[Matrix, ...]:
        """The matrices of one decoder layer."""
        return self.matrices[: len(self.matrices) // self.layers]


def read_shape(reference: ModelReference) -> ModelShape:
    """The geometry of a folder, a config.json, a model named in architectures.yaml or the hub.

    Builds the model without its weights (on the meta device). Raises UserError where nothing
    is known of the name.
    """
    import torch
    from transformers import AutoModelForCausalLM

    config = _config(reference)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(
            config, trust_remote_code=reference.trust_remote_code
        )
    text = config.get_text_config()
    head = model.get_output_embeddings()
    embedding = {id(m.weight): m.weight for m in (model.get_input_embeddings(), head) if m}
    named = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and id(module.weight) not in embedding
    ]
    matrices = tuple(
        Matrix(name.rpartition(".")[2], module.in_features, module.out_features)
        for name, module in named
    )
    in_head = sum(int(weight.numel()) for weight in embedding.values())
    whole = sum(int(weight.numel()) for weight in model.parameters())
    heads = text.num_attention_heads
    return ModelShape(
        name=reference.model,
        layers=text.num_hidden_layers,
        hidden=text.hidden_size,
        heads=heads,
        kv_heads=getattr(text, "num_key_value_heads", None) or heads,
        head_dim=getattr(text, "head_dim", None) or text.hidden_size // heads,
        vocabulary=text.vocab_size,
        positions=getattr(text, "max_position_embeddings", None) or 2048,
        matrices=matrices,
        head=in_head,
        rest=whole - in_head - sum(math.prod((m.inputs, m.outputs)) for m in matrices),
        packed=_is_packed(reference.model, config),
    )


def _is_packed(name: str, config: Any) -> bool:
    settings = getattr(config, "quantization_config", None) or {}
    return bool(settings.get("load_in_4bit") or QUANTISED_NAME.search(name))


def _config(reference: ModelReference) -> Any:
    """A config of transformers, from the nearest place that has one."""
    from transformers import AutoConfig

    path = resolve_path(reference.model)
    if path.is_file():
        return _from_file(path)
    known = _shipped(reference.model)
    if known is not None and not path.is_dir():
        return AutoConfig.for_model(**known)
    if locate(reference.model, "model") is not None:
        return _from_file(path / "config.json")
    from solution.models.loading import read_config

    try:
        return read_config(reference)
    except UserError as error:
        names = ", ".join(name for entry in _entries() for name in entry["names"])
        raise UserError(f"{error} Known without the hub: {names}.") from error


def _from_file(path: Path) -> Any:
    from transformers import AutoConfig

    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return AutoConfig.for_model(values.pop("model_type"), **values)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}).") from error
    except (ValueError, KeyError, AttributeError) as error:
        raise UserError(
            f"{path}: no config.json of a model that transformers here knows ({error}). "
            "Give a model's folder, its config.json or a hub id."
        ) from error


def _entries() -> list[dict[str, Any]]:
    return list(yaml.safe_load(ARCHITECTURES.read_text(encoding="utf-8")))


def _shipped(name: str) -> dict[str, Any] | None:
    """The settings of a public model, for AutoConfig.for_model; None where it isn't listed."""
    bare = QUANTISED_NAME.sub("", name.rpartition("/")[2]).lower()
    for entry in _entries():
        if bare in (known.lower() for known in entry.pop("names")):
            return entry
    return None
