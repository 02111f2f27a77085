"""Models computed in float32, a decoder layer at a time, for rows that overflow in 16 bit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from solution.scoring.lm_head import causal_of


@contextmanager
def float32_by_layer(model: Any) -> Iterator[None]:
    """Compute `model` in float32 within the context; its weights are unchanged afterwards.

    Decoder layers are converted while they run, so that memory for one of them is enough; what
    is outside them (embeddings, norms, the head) is converted for the whole context.
    """
    import torch
    from torch import nn

    causal = causal_of(model)
    lists = [one for one in causal.modules() if isinstance(one, nn.ModuleList)]
    layers = [layer for layer in max(lists, key=len, default=())]
    inside = {id(part) for layer in layers for part in layer.modules()}
    outside = [
        one for one in causal.modules() if id(one) not in inside and not any(one.children())
    ]
    with ExitStack() as stack:
        for part in outside:
            stack.enter_context(_float32(part))
        for layer in layers:
            contexts: list[ExitStack] = []

            def before(module: Any, *_: Any, held: list[ExitStack] = contexts) -> None:
                held.append(ExitStack())
                for part in module.modules():
                    held[-1].enter_context(_float32(part))

            def after(*_: Any, held: list[ExitStack] = contexts) -> None:
                held.pop().close()

            stack.callback(layer.register_forward_pre_hook(before).remove)
            stack.callback(layer.register_forward_hook(after, always_call=True).remove)
        stack.enter_context(torch.no_grad())
        yield


@contextmanager
def _float32(module: Any) -> Iterator[None]:
    """Convert the floating-point weights that a module itself holds, and back."""
    import torch

    kept = []
    for weight in [*module.parameters(recurse=False), *module.buffers(recurse=False)]:
        if weight.dtype in (torch.float16, torch.bfloat16):
            kept.append((weight, weight.data))
            weight.data = weight.data.float()
    computed = getattr(module, "compute_dtype", None)  # of 4-bit weights
    if computed is not None:
        module.compute_dtype = torch.float32
    try:
        yield
    finally:
        for weight, data in kept:
            weight.data = data
        if computed is not None:
            module.compute_dtype = computed
