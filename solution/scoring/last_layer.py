"""The last layer's MLP runs only where something is read: nothing comes behind it elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


@contextmanager
def read_only_at(decoder: Any, places: Sequence[int]) -> Iterator[None]:
    """Let the last MLP of a decoder see only some places of its input (1, T, width).

    Elsewhere its output is zero. A decoder whose layers are built otherwise runs whole.
    """
    layers = getattr(decoder, "layers", None)
    mlp = getattr(layers[-1], "mlp", None) if layers else None
    with ExitStack() as hooks:
        if mlp is not None:
            narrow = _Narrow(places)
            hooks.enter_context(mlp.register_forward_pre_hook(narrow.before))
            hooks.enter_context(mlp.register_forward_hook(narrow.after))
        yield


class _Narrow:
    """The two ends of an MLP: takes rows out before it, puts them back behind it."""

    def __init__(self, places: Sequence[int]) -> None:
        self.places = list(places) or [0]  # kernels of packed weights need a row
        self.shape: Any = None

    def before(self, _mlp: Any, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        self.shape = given[0].shape if given else None
        return (given[0][:, self.places], *given[1:]) if given else given  # named: runs whole

    def after(self, _mlp: Any, _given: tuple[Tensor, ...], output: Any) -> Any:
        """The whole again; of several outputs (a mixture's router) the first is the states."""
        if self.shape is None:
            return output
        states = output[0] if isinstance(output, tuple) else output
        whole = states.new_zeros(self.shape)
        whole[:, self.places] = states
        return (whole, *output[1:]) if isinstance(output, tuple) else whole
