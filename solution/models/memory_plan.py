"""The memory of weights, of scoring and of fine-tuning, from the shape of a model only.

`plan_memory` lists every item of a training with its arithmetic. Saved activations agree with
what autograd saves for small models (tests/models/test_memory_plan.py), logits with Unsloth's
fused loss (unsloth_zoo.fused_losses: 16 bytes per logit, in chunks).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from solution.core import aligned
from solution.models.reference import ModelReference
from solution.models.shape import ModelShape, read_shape

GIB = 2**30
BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
# nf4 with double quantisation (bitsandbytes): half a byte per weight, one byte per block of 64
# for its scale, four bytes per 256 scales.
NF4, NF4_SCALES = 0.5, 1 / 64 + 4 / (64 * 256)
# AdamW's two moments: float32, or one byte each and a float32 scale per block of 256.
OPTIMIZER = {"adamw_torch": 8.0, "adamw_8bit": 2 + 2 * 4 / 256, "paged_adamw_8bit": 2 + 2 / 64}
FUSED_BYTES, FUSED_CAP = 16, 4 * GIB
# CUDA's context and the libraries' workspaces; what the allocator loses to fragmentation.
CONTEXT, FRAGMENTATION = 0.7 * GIB, 0.03
# Scoring beside the weights: libraries, activations, the KV cache of a batch.
SCORING_WORKSPACE = 2 * GIB
STEP = 64
"""Row lengths are tried in steps of this many tokens."""


@dataclass(frozen=True)
class FinetuneSpec:
    """What the memory of a fine-tuning depends on."""

    length: int
    batch: int = 1
    method: Literal["lora", "ia3", "full"] = "lora"
    rank: int = 16
    targets: tuple[str, ...] = ()
    feedforward: tuple[str, ...] = ()
    """IA3 targets that scale their input instead of their output."""
    quantization: Literal["none", "4bit", "8bit"] = "none"
    dtype: str = "float16"
    optimizer: str = "adamw_torch"
    checkpointing: Literal["unsloth"] | bool = "unsloth"
    loss: Literal["fused", "full"] = "fused"
    """`full` holds the logits of every position at once, `fused` one chunk of them."""


@dataclass(frozen=True)
class MemoryItem:
    """One item of the plan: bytes on the device and their arithmetic."""

    name: str
    amount: float
    arithmetic: str


@dataclass(frozen=True)
class Plan:
    """The memory of a training on a device of `memory` bytes, and the longest rows that fit."""

    shape: ModelShape
    spec: FinetuneSpec
    memory: float
    items: tuple[MemoryItem, ...]
    longest: int
    """Tokens; 0 where nothing fits."""
    offloaded: float
    """Bytes of main memory for the checkpoints of mode `unsloth`."""

    @property
    def total(self) -> float:
        """Bytes at the peak."""
        return sum(item.amount for item in self.items)

    @property
    def fits(self) -> bool:
        """Whether the device holds it."""
        return self.total <= self.memory


def bytes_per_weight(bits: int, quantization: str, dtype: str) -> float:
    """Return the bytes of one weight of a linear layer, scales included.

    `bits` are the checkpoint's (ModelShape.bits); `quantization` applies to 16-bit ones.
    """
    if bits >= 16:
        bits = {"none": 8 * BYTES[dtype], "8bit": 8, "4bit": 4}[quantization]
    return NF4 + NF4_SCALES if bits == 4 else bits / 8


def weight_bytes(shape: ModelShape, quantization: str, dtype: str) -> float:
    """Return the bytes of all weights in memory: quantised matrices, the rest in `dtype`."""
    linear = shape.linear * bytes_per_weight(shape.bits, quantization, dtype)
    return linear + (shape.head + shape.rest) * BYTES[dtype]


def scoring_bytes(reference: ModelReference, dtype: str) -> float:
    """Return the bytes that scoring with a model needs; reads its configuration only."""
    return (
        weight_bytes(read_shape(reference), reference.quantization, dtype) + SCORING_WORKSPACE
    )


def plan_memory(shape: ModelShape, spec: FinetuneSpec, memory: float) -> Plan:
    """Plan a fine-tuning on a device of `memory` bytes."""

    def items(length: int) -> tuple[MemoryItem, ...]:
        return _items(shape, replace(spec, length=length), memory)

    def total(length: int) -> float:
        return sum(item.amount for item in items(length))

    offloaded = 0.0
    if spec.checkpointing == "unsloth":
        offloaded = float(shape.layers * _checkpoint(shape, spec))
    longest = _longest(total, memory, shape.positions)
    return Plan(shape, spec, memory, items(spec.length), longest, offloaded)


def trainable_parameters(shape: ModelShape, spec: FinetuneSpec) -> int:
    """Count trained parameters: LoRA r·(in+out) per matrix, IA3 one vector per matrix."""
    targets = [m for m in shape.matrices if m.name in spec.targets]
    if spec.method == "full":
        return shape.linear + shape.head + shape.rest
    if spec.method == "lora":
        return sum(spec.rank * (m.inputs + m.outputs) for m in targets)
    return sum(m.inputs if m.name in spec.feedforward else m.outputs for m in targets)


def activations_per_token(shape: ModelShape) -> int:
    """Activation elements saved for backward, per token and layer.

    Residual, norms and the inputs of the outer projections (6 hidden sizes; 3 for GPT-NeoX's
    parallel branches), queries, keys and values before and after rotation, keys and values
    repeated for grouped heads, and the MLP: gate, its activation, up and their product, or
    before and after the activation without a gate.
    """
    names = {matrix.name for matrix in shape.layer_matrices}
    query, key = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    attention = 2 * (query + key) + key + (2 * query if key < query else 0)
    if names & {"gate_proj", "gate_up_proj"}:
        return 6 * shape.hidden + attention + 4 * max(m.outputs for m in shape.layer_matrices)
    sizes = [
        m.inputs if "query_key_value" in names else m.outputs for m in shape.layer_matrices
    ]
    return 3 * shape.hidden + attention + 2 * max(sizes)


def render(plan: Plan) -> str:
    """Format a plan: the table of items, the verdict and the longest rows that fit."""
    spec, total = plan.spec, f"{plan.total / GIB:.1f} of {plan.memory / GIB:.1f} GiB"
    rows = [(item.name, f"{item.amount / GIB:.2f}", item.arithmetic) for item in plan.items]
    rows.append(("total", f"{plan.total / GIB:.2f}", f"of {plan.memory / GIB:.1f} GiB"))
    offloaded = f"\nMain memory for the offloaded checkpoints: {plan.offloaded / GIB:.2f} GiB."
    longest = (
        f"The longest rows that fit: {plan.longest} tokens."
        if plan.longest
        else "Not even the shortest rows fit: use a smaller model, 4bit or a smaller rank."
    )
    return (
        f"{plan.shape.name}: {spec.method}, {trainable_parameters(plan.shape, spec)} trainable "
        f"parameters, rows of {spec.length} tokens, batch size {spec.batch}, {spec.dtype}, "
        f"quantization {spec.quantization}, checkpointing {spec.checkpointing}\n\n"
        f"{aligned(['item', 'GiB', 'arithmetic'], rows)}\n\n"
        f"{spec.length} tokens: {'fits' if plan.fits else 'does not fit'} ({total}). "
        f"{longest}{offloaded if plan.offloaded else ''}"
    )


def _items(shape: ModelShape, spec: FinetuneSpec, memory: float) -> tuple[MemoryItem, ...]:
    fixed = [*_weights(shape, spec), *_trained(shape, spec)]
    free = memory - sum(item.amount for item in fixed) - CONTEXT
    items = [*fixed, *_activations(shape, spec), _logits(shape, spec, free)]
    overhead = CONTEXT + FRAGMENTATION * sum(item.amount for item in items)
    text = f"{CONTEXT / GIB:.1f} GiB CUDA and libraries + {FRAGMENTATION:.0%} of the above"
    return (*items, MemoryItem("context and fragmentation", overhead, text))


def _weights(shape: ModelShape, spec: FinetuneSpec) -> list[MemoryItem]:
    # Full fine-tuning needs float32 weights: in float16 small updates round to zero.
    dtype = "float32" if spec.method == "full" else spec.dtype
    other = _item(f"embedding, head, norms ({dtype})", shape.head + shape.rest, BYTES[dtype])
    if bytes_per_weight(shape.bits, spec.quantization, dtype) != NF4 + NF4_SCALES:
        size = bytes_per_weight(shape.bits, spec.quantization, dtype)
        kind = dtype if size == BYTES[dtype] else f"{8 * size:.0f} bit"
        return [_item(f"matrices ({kind})", shape.linear, size), other]
    largest = max(m.inputs * m.outputs for m in shape.matrices)
    scales = f"{_number(shape.linear)} × (1/64 + 4/16384) B"
    return [
        _item("matrices (nf4)", shape.linear, NF4),
        MemoryItem("their scales, quantised again", shape.linear * NF4_SCALES, scales),
        other,
        _item("largest matrix, dequantised", largest, BYTES[spec.dtype]),
    ]


def _trained(shape: ModelShape, spec: FinetuneSpec) -> list[MemoryItem]:
    """Trained weights and their gradients are float32, also under float16."""
    count = trainable_parameters(shape, spec)
    items = [
        _item("gradients (float32)", count, 4),
        _item(f"{spec.optimizer} state", count, OPTIMIZER[spec.optimizer]),
    ]
    if spec.method == "full":  # the weights themselves are counted already
        return items
    name = {"lora": f"LoRA r={spec.rank}", "ia3": "IA3"}[spec.method]
    return [_item(f"{name} (float32)", count, 4), *items]


def _activations(shape: ModelShape, spec: FinetuneSpec) -> list[MemoryItem]:
    """Tensors saved for the backward pass, and those of one layer's recomputation."""
    size, tokens = BYTES[spec.dtype], spec.batch * spec.length
    saved = activations_per_token(shape)
    widest = 2 * max(max(m.outputs, m.inputs) for m in shape.layer_matrices) + 2 * shape.hidden
    gradients = _item("its gradients", widest, size, f"{tokens} tokens × ", tokens)
    if not spec.checkpointing:
        prefix = f"{shape.layers} layers × {tokens} tokens × "
        return [
            _item("activations, all saved", saved, size, prefix, shape.layers * tokens),
            gradients,
        ]
    held, where = (
        (2, "two on their way to main memory")
        if spec.checkpointing == "unsloth"
        else (shape.layers, "all on the device")
    )
    text = f"{held} × {tokens} tokens × {shape.hidden} × {size} B ({where})"
    return [
        MemoryItem("checkpoints of layers", float(held * _checkpoint(shape, spec)), text),
        _item("one layer recomputed", saved, size, f"{tokens} tokens × ", tokens),
        gradients,
    ]


def _logits(shape: ModelShape, spec: FinetuneSpec, free: float) -> MemoryItem:
    """The loss: logits, their float32 copy and gradients; fused, in Unsloth's chunks."""
    logits = spec.batch * spec.length * shape.vocabulary
    rows = f"{spec.batch * spec.length} tokens × {shape.vocabulary}"
    if spec.loss == "full":
        size = 2 * 4 + BYTES[spec.dtype]
        return MemoryItem("logits, all", float(logits * size), f"{rows} × {size} B")
    target = max(min(FUSED_CAP, free / 2), GIB / 16)
    ratio = logits * FUSED_BYTES / target
    chunks = 1 if ratio <= 1 else 4 * math.ceil(ratio / 4)
    text = f"{rows} × {FUSED_BYTES} B / {chunks} chunks"
    return MemoryItem("logits, fused loss", logits * FUSED_BYTES / chunks, text)


def _longest(total: Callable[[int], float], memory: float, positions: int) -> int:
    """Return the largest multiple of STEP that fits; tries all: chunked logits may shrink."""
    lengths = range(positions // STEP * STEP, 0, -STEP)
    return next((length for length in lengths if total(length) <= memory), 0)


def _checkpoint(shape: ModelShape, spec: FinetuneSpec) -> int:
    return spec.batch * spec.length * shape.hidden * BYTES[spec.dtype]


def _item(name: str, count: int, size: float, prefix: str = "", times: int = 1) -> MemoryItem:
    return MemoryItem(
        name, float(times * count * size), f"{prefix}{_number(count)} × {size:.4g} B"
    )


def _number(value: float) -> str:
    for unit, size in (("B", 1e9), ("M", 1e6)):
        if value >= size:
            return f"{value / size:.3f} {unit}"
    return f"{value:,.0f}"
