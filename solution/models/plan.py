"""The memory that a training needs, item by item, each with its arithmetic.

Counted from the model's shape alone, before anything is downloaded. What autograd keeps was
checked against what it did keep for small models (tests/models/test_plan.py), the logits
against Unsloth's fused loss (unsloth_zoo.fused_losses: 16 bytes a logit, cut in chunks).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from solution.core import aligned
from solution.models.geometry import ModelShape

GIB = 2**30
BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
# nf4 with double quantisation: half a byte a weight, one byte a block of 64 for its scale, four
# bytes for each 256 of those (bitsandbytes' block sizes).
NF4, NF4_SCALES = 0.5, 1 / 64 + 4 / (64 * 256)
# AdamW keeps two moments: in float32, or one byte each and four bytes of scale a block of 256.
OPTIMISER = {"adamw_torch": 8.0, "adamw_8bit": 2 + 2 * 4 / 256, "paged_adamw_8bit": 2 + 2 / 64}
FUSED_BYTES, FUSED_CAP = 16, 4 * GIB
# CUDA's context and the libraries' workspaces; and what the allocator loses to fragments.
CONTEXT, FRAGMENTS = 0.7 * GIB, 0.03
STEP = 64
"""Lengths are tried in steps of this many tokens."""


@dataclass(frozen=True)
class FinetuneSpec:
    """How a model is tuned, as far as memory goes."""

    length: int
    batch: int = 1
    method: Literal["lora", "ia3", "full"] = "lora"
    rank: int = 16
    targets: tuple[str, ...] = ()
    feedforward: tuple[str, ...] = ()
    """Of IA3's targets those that scale their input instead of their output."""
    quantization: Literal["none", "4bit", "8bit"] = "none"
    dtype: str = "float16"
    optimizer: str = "adamw_torch"
    checkpointing: Literal["unsloth"] | bool = "unsloth"
    loss: Literal["fused", "full"] = "fused"
    """`full` holds the logits of every position at once, `fused` a chunk of them."""


@dataclass(frozen=True)
class Line:
    """One item of the plan: its bytes on the card, and how they were counted."""

    item: str
    amount: float
    arithmetic: str


@dataclass(frozen=True)
class Plan:
    """What a training needs of a memory of `memory` bytes, and the longest rows that fit."""

    geometry: ModelShape
    tuning: FinetuneSpec
    memory: float
    lines: tuple[Line, ...]
    longest: int
    """Tokens; 0 where nothing fits."""
    offloaded: float
    """Bytes of main memory that the checkpoints take in the mode `unsloth`."""

    @property
    def total(self) -> float:
        """Bytes at the peak."""
        return sum(line.amount for line in self.lines)

    @property
    def fits(self) -> bool:
        """Whether the memory holds it."""
        return self.total <= self.memory


def plan_memory(geometry: ModelShape, tuning: FinetuneSpec, memory: float) -> Plan:
    """The plan of this tuning on a card (or machine) of `memory` bytes."""

    def lines(length: int) -> tuple[Line, ...]:
        return _lines(geometry, replace(tuning, length=length), memory)

    def need(length: int) -> float:
        return sum(line.amount for line in lines(length))

    offloaded = 0.0
    if tuning.checkpointing == "unsloth":
        offloaded = geometry.layers * _checkpoint(geometry, tuning)
    longest = _longest(need, memory, geometry.positions)
    return Plan(geometry, tuning, memory, lines(tuning.length), longest, offloaded)


def trainable_parameters(geometry: ModelShape, tuning: FinetuneSpec) -> int:
    """Parameters that the method trains: LoRA r·(in+out) a matrix, IA3 one vector a matrix."""
    targets = [m for m in geometry.matrices if m.name in tuning.targets]
    if tuning.method == "full":
        return geometry.linear + geometry.head + geometry.rest
    if tuning.method == "lora":
        return sum(tuning.rank * (m.inputs + m.outputs) for m in targets)
    return sum(m.inputs if m.name in tuning.feedforward else m.outputs for m in targets)


def kept_a_token(geometry: ModelShape) -> int:
    """Numbers that autograd keeps of one token in one decoder layer.

    The residual, both norms and what goes into the two outer projections (6 of the hidden size;
    3 where GPT-NeoX's two branches stand side by side behind one residual), queries, keys and
    values before and after their rotation, keys and values repeated for the heads that share
    them, and the inner activations: gate, its activation, up and their product, or before and
    after the activation where there is no gate.
    """
    inner = max(m.outputs for m in geometry.a_layer)
    gated = any(m.name in ("gate_proj", "gate_up_proj") for m in geometry.a_layer)
    query = geometry.heads * geometry.head_dim
    key = geometry.kv_heads * geometry.head_dim
    shared = 2 * query if geometry.kv_heads < geometry.heads else 0
    if not gated and "query_key_value" in {m.name for m in geometry.a_layer}:
        inner = max(m.inputs for m in geometry.a_layer)
    outer, within = (
        (6 * geometry.hidden, 4 * inner) if gated else (3 * geometry.hidden, 2 * inner)
    )
    return outer + 2 * (query + key) + key + shared + within


def _lines(geometry: ModelShape, tuning: FinetuneSpec, memory: float) -> tuple[Line, ...]:
    fixed = [*_weights(geometry, tuning), *_adapter(geometry, tuning)]
    free = memory - sum(line.amount for line in fixed) - CONTEXT
    moving = [*_activations(geometry, tuning), _logits(geometry, tuning, free)]
    held = sum(line.amount for line in (*fixed, *moving))
    rest = Line(
        "context and fragments",
        CONTEXT + FRAGMENTS * held,
        f"{CONTEXT / GIB:.1f} GiB CUDA and libraries + {FRAGMENTS:.0%} of the above",
    )
    return (*fixed, *moving, rest)


def _weights(geometry: ModelShape, tuning: FinetuneSpec) -> list[Line]:
    size, linear = BYTES[_stored(tuning)], geometry.linear
    other = geometry.head + geometry.rest
    kept = Line(
        f"embedding, head, norms ({_stored(tuning)})",
        other * size,
        f"{_number(other)} × {size} B",
    )
    if tuning.quantization == "none":
        text = f"{_number(linear)} × {size} B"
        return [Line(f"matrices ({_stored(tuning)})", linear * size, text), kept]
    if tuning.quantization == "8bit":
        return [Line("matrices (8 bit)", float(linear), f"{_number(linear)} × 1 B"), kept]
    largest = max(m.inputs * m.outputs for m in geometry.matrices)
    computed = BYTES[tuning.dtype]
    return [
        Line("matrices (nf4)", linear * NF4, f"{_number(linear)} × 0.5 B"),
        Line(
            "their scales, quantised again",
            linear * NF4_SCALES,
            f"{_number(linear)} × (1/64 + 4/16384) B",
        ),
        kept,
        Line(
            "largest matrix, unpacked",
            largest * computed,
            f"{_number(largest)} × {computed} B",
        ),
    ]


def _adapter(geometry: ModelShape, tuning: FinetuneSpec) -> list[Line]:
    """Trained weights are float32 under float16, and so are their gradients."""
    count = trainable_parameters(geometry, tuning)
    state = OPTIMISER[tuning.optimizer]
    name = {"lora": f"LoRA r={tuning.rank}", "ia3": "IA3", "full": "all weights"}[tuning.method]
    lines = [
        Line("gradients (float32)", count * 4, f"{_number(count)} × 4 B"),
        Line(f"{tuning.optimizer} state", count * state, f"{_number(count)} × {state:.2f} B"),
    ]
    if tuning.method == "full":  # the weights themselves were counted already
        return lines
    return [Line(f"{name} (float32)", count * 4, f"{_number(count)} × 4 B"), *lines]


def _activations(geometry: ModelShape, tuning: FinetuneSpec) -> list[Line]:
    """What is kept for the backward pass, and what one layer's recomputation adds."""
    size, tokens = BYTES[tuning.dtype], tuning.batch * tuning.length
    kept = kept_a_token(geometry)
    if not tuning.checkpointing:
        amount = float(geometry.layers * tokens * kept * size)
        text = f"{geometry.layers} layers × {tokens} tokens × {_number(kept)} × {size} B"
        lines = [Line("activations, all kept", amount, text)]
    else:
        held = 2 if tuning.checkpointing == "unsloth" else geometry.layers
        where = "two on their way to main memory" if held == 2 else "all on the card"
        text = f"{held} × {tokens} tokens × {geometry.hidden} × {size} B ({where})"
        lines = [
            Line("checkpoints of layers", held * _checkpoint(geometry, tuning), text),
            Line(
                "one layer recomputed",
                float(tokens * kept * size),
                f"{tokens} tokens × {_number(kept)} × {size} B",
            ),
        ]
    inner = max(max(m.outputs, m.inputs) for m in geometry.a_layer)
    widest = 2 * inner + 2 * geometry.hidden
    text = f"{tokens} tokens × {_number(widest)} × {size} B"
    return [*lines, Line("its gradients", float(tokens * widest * size), text)]


def _logits(geometry: ModelShape, tuning: FinetuneSpec, free: float) -> Line:
    """The loss: logits, their float32 copy and gradients; fused, in Unsloth's chunks."""
    logits = tuning.batch * tuning.length * geometry.vocabulary
    each = 2 * 4 + BYTES[tuning.dtype]
    rows = f"{tuning.batch * tuning.length} tokens × {geometry.vocabulary}"
    if tuning.loss == "full":
        return Line("logits, whole", float(logits * each), f"{rows} × {each} B")
    target = max(min(FUSED_CAP, free / 2), GIB / 16)
    ratio = logits * FUSED_BYTES / target
    chunks = 1 if ratio <= 1 else 4 * math.ceil(ratio / 4)
    amount = logits * FUSED_BYTES / chunks
    return Line("logits, fused loss", amount, f"{rows} × {FUSED_BYTES} B / {chunks} chunks")


def _longest(need: Callable[[int], float], memory: float, positions: int) -> int:
    """The largest multiple of STEP that fits; chunked logits may shrink, so all are tried."""
    lengths = range(positions // STEP * STEP, 0, -STEP)
    return next((length for length in lengths if need(length) <= memory), 0)


def _checkpoint(geometry: ModelShape, tuning: FinetuneSpec) -> float:
    tokens = tuning.batch * tuning.length
    return float(tokens * geometry.hidden * BYTES[tuning.dtype])


def _stored(tuning: FinetuneSpec) -> str:
    """Full tuning needs float32 weights: in float16 the updates would round to nothing."""
    return "float32" if tuning.method == "full" else tuning.dtype


def _number(value: float) -> str:
    for unit, size in (("B", 1e9), ("M", 1e6)):
        if value >= size:
            return f"{value / size:.3f} {unit}"
    return f"{value:,.0f}"


def render(plan: Plan) -> str:
    """The plan as text: a table of the arithmetic, the verdict, the longest rows that fit."""
    tuning = plan.tuning
    rows = [(line.item, f"{line.amount / GIB:.2f}", line.arithmetic) for line in plan.lines]
    rows.append(("in all", f"{plan.total / GIB:.2f}", f"of {plan.memory / GIB:.1f} GiB"))
    verdict = "fits" if plan.fits else "does not fit"
    trained = trainable_parameters(plan.geometry, tuning)
    where = ""
    if plan.offloaded:
        where = f"\nMain memory for the offloaded checkpoints: {plan.offloaded / GIB:.2f} GiB."
    longest = (
        f"The longest rows that fit: {plan.longest} tokens."
        if plan.longest
        else "Not even the shortest rows fit: take a smaller model, 4bit or a smaller rank."
    )
    return (
        f"{plan.geometry.name}: {tuning.method}, {trained} trainable parameters, rows of "
        f"{tuning.length} tokens, {tuning.batch} at once, {tuning.dtype}, "
        f"quantization {tuning.quantization}, checkpointing {tuning.checkpointing}\n\n"
        f"{aligned(['item', 'GiB', 'arithmetic'], rows)}\n\n"
        f"{tuning.length} tokens: {verdict} ({plan.total / GIB:.1f} of "
        f"{plan.memory / GIB:.1f} GiB). {longest}{where}"
    )
