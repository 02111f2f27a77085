"""Weights kept in 16 bit, multiplied in float32: on most processors faster, and more exact."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from solution.models import detect

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module, Parameter


def may_widen(decoder: Any) -> bool:
    """Whether a decoder's 16-bit weights are better multiplied in float32, layer by layer.

    Not on a card, not on a processor with units for bfloat16, not where weights are packed (4
    and 8 bit), and not where layers are no plain list.
    """
    from torch import nn

    weights = list(decoder.parameters())
    return (
        all(one.device.type == "cpu" and one.is_floating_point() for one in weights)
        and any(_is_narrow(one) for one in weights)
        and isinstance(getattr(decoder, "layers", None), nn.ModuleList)
        and not detect().bfloat16
    )


@contextmanager
def in_float32(decoder: Any) -> Iterator[None]:
    """Let a decoder compute in float32; its weights are copied so a layer at a time."""
    import torch
    from torch import nn

    parts = [*decoder.layers]
    with ExitStack() as hooks:
        for child in decoder.children():
            if isinstance(child, nn.Embedding):
                hooks.enter_context(child.register_forward_hook(_as_float32))
            elif child is not decoder.layers:
                parts.append(child)
        space = torch.empty(max(sum(one.numel() for one in _narrow(part)) for part in parts))
        for part in parts:
            wide = _Wide(_narrow(part), space)
            hooks.callback(wide.after)  # also where the layer was left by Ctrl-C
            hooks.enter_context(part.register_forward_pre_hook(wide.before))
            hooks.enter_context(part.register_forward_hook(wide.after))
        yield


def _as_float32(_module: Module, _given: Any, output: Tensor) -> Tensor:
    return output.float()


def _narrow(part: Module) -> list[Parameter]:
    return [one for one in part.parameters() if _is_narrow(one)]


def _is_narrow(weight: Tensor) -> bool:
    return weight.is_floating_point() and weight.element_size() == 2


class _Wide:
    """Weights that are float32, in a space lent to them, while their module computes."""

    def __init__(self, weights: list[Parameter], space: Tensor) -> None:
        self.weights, self.space = weights, space
        self.own = [one.data for one in weights]

    def before(self, *_: Any) -> None:
        """Let copies take the weights' place."""
        start = 0
        for one, own in zip(self.weights, self.own, strict=True):
            copy = self.space[start : start + own.numel()].view(own.shape)
            one.data = copy.copy_(own)
            start += own.numel()

    def after(self, *_: Any) -> None:
        """Put the weights back."""
        for one, own in zip(self.weights, self.own, strict=True):
            one.data = own
