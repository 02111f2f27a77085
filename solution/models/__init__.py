"""What a model is: its reference, loading, and what this machine can run."""

from solution.models.doctor import doctor
from solution.models.hardware import Card, Hardware, detect, pick_dtype
from solution.models.loading import LoadedModel, load, load_tokenizer, weights_needed
from solution.models.reference import ModelReference, weights_fingerprint

__all__ = [
    "Card",
    "Hardware",
    "LoadedModel",
    "ModelReference",
    "detect",
    "doctor",
    "load",
    "load_tokenizer",
    "pick_dtype",
    "weights_fingerprint",
    "weights_needed",
]
