"""Models: references, loading, adapters, hardware and memory."""

from solution.models.adapter import adapter_base, run_settings
from solution.models.chat_template import SPLIT, ChatTemplate, Rendered
from solution.models.doctor import doctor
from solution.models.hardware import Gpu, Hardware, detect, pick_dtype
from solution.models.loading import (
    LoadedModel,
    chat_template,
    compute_identity,
    context_length,
    disable_avx512_repacking,
    load,
)
from solution.models.memory_plan import (
    GIB,
    FinetuneSpec,
    Plan,
    plan_memory,
    render,
    scoring_bytes,
    trainable_parameters,
)
from solution.models.pretrained import load_tokenizer
from solution.models.reference import ModelReference, hub_reachable, weights_fingerprint
from solution.models.shape import ModelShape, read_shape
from solution.models.tiny import make_tiny
