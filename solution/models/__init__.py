"""What a model is: its reference, loading, and what this machine can run."""

from solution.models.doctor import doctor
from solution.models.geometry import ModelShape, read_shape
from solution.models.hardware import Gpu, Hardware, detect, pick_dtype
from solution.models.loading import (
    LoadedModel,
    keep_layout,
    load,
    load_tokenizer,
    weights_needed,
)
from solution.models.plan import (
    GIB,
    FinetuneSpec,
    Plan,
    plan_memory,
    render,
    trainable_parameters,
)
from solution.models.reference import ModelReference, hub_reachable, weights_fingerprint
from solution.models.tiny import make_tiny

__all__ = [
    "GIB",
    "FinetuneSpec",
    "Gpu",
    "Hardware",
    "LoadedModel",
    "ModelReference",
    "ModelShape",
    "Plan",
    "detect",
    "doctor",
    "hub_reachable",
    "keep_layout",
    "load",
    "load_tokenizer",
    "make_tiny",
    "pick_dtype",
    "plan_memory",
    "read_shape",
    "render",
    "trainable_parameters",
    "weights_fingerprint",
    "weights_needed",
]
