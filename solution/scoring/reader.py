"""Reads a model at chosen positions: the head runs only there and for the tokens asked for."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

from solution.core import log
from solution.scoring.attention import attending
from solution.scoring.last_layer import read_only_at
from solution.scoring.layout import Layout
from solution.scoring.reading import LOGIT_TOKENS
from solution.scoring.tree import Ids, ask, grow
from solution.scoring.widen import in_float32, may_widen

if TYPE_CHECKING:
    from torch import Tensor

# Largest difference between our logits and the model's own, as a share of their spread.
TOLERANCE = {"torch.float32": 1e-4, "torch.float16": 2e-2, "torch.bfloat16": 1e-1}
CHECK_TOKENS = 64
# Blocks of the check: small, so that its little tree takes several.
CHECK_BLOCK_TOKENS = 4
# Kinds of layer whose tokens meet in attention only, where branches can be kept apart.
BRANCHING = {"full_attention", "sliding_attention"}

# Model -> what was found out about it (a Reader here would keep the model alive).
_ways: WeakKeyDictionary[Any, tuple[bool, bool]] = WeakKeyDictionary()
_branching: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()


@dataclass(frozen=True)
class Reader:
    """How to read one model; without a head its own logits are read, which costs more.

    `wide`: what is kept in 16 bit is multiplied in float32.
    """

    model: Any
    decoder: Any
    head: Any | None
    wide: bool = False

    @property
    def by_rows(self) -> bool:
        """Whether the head is applied to chosen tokens only."""
        return self.head is not None

    @property
    def dtype(self) -> str:
        """What is computed in, by torch's name."""
        return "torch.float32" if self.wide else str(next(self.model.parameters()).dtype)

    def _decode(self, **given: Tensor) -> Tensor:
        """What all positions hold in the end: (B, T, hidden)."""
        with in_float32(self.decoder) if self.wide else nullcontext():
            given_back = self.decoder(**given, use_cache=False)
        return cast("Tensor", given_back.last_hidden_state)

    def states(self, ids: Tensor, keep: int) -> Tensor:
        """What the last `keep` positions of ids (B, T) hold: (B, keep, hidden), or logits.

        No mask: rows are padded on the right, and a causal model's positions see no later one.
        """
        if self.by_rows:
            return self._decode(input_ids=ids)[:, -keep:]
        logits = self.model(input_ids=ids, use_cache=False, **_keeping(self.model, keep)).logits
        return cast("Tensor", logits[:, -keep:])

    def branches(self, layout: Layout, places: Sequence[int]) -> Tensor:
        """What a tree laid out in one sequence holds at some places: (len(places), hidden).

        Only with a head, and only where `honours_trees` says so.
        """
        import torch

        device = next(self.model.parameters()).device
        ids = torch.tensor([layout.ids], device=device)
        positions = torch.tensor([layout.positions], device=device)
        with attending(self.decoder.config, layout), read_only_at(self.decoder, places):
            hidden = self._decode(input_ids=ids, position_ids=positions)
        return hidden[0, torch.tensor(places, device=hidden.device).long()]

    def logits(self, states: Tensor, tokens: Tensor | None = None) -> Tensor:
        """Float32 logits (n, vocabulary) of states (n, hidden), or only those of `tokens`."""
        import torch

        if self.head is None:
            return (states if tokens is None else states[:, tokens]).float()
        if tokens is None:
            return torch.cat([some for _, some in self.pieces(states, LOGIT_TOKENS)], -1)
        weight = self.head.weight[tokens.to(self.head.weight.device)].float()
        logits = states.to(weight.device).float() @ weight.T
        if self.head.bias is not None:
            logits += self.head.bias[tokens].float()
        return _finished(logits, self.model.config)

    def pieces(self, states: Tensor, size: int) -> Iterator[tuple[int, Tensor]]:
        """The float32 logits of states (n, hidden) for `size` tokens after another.

        Gives (first token, logits (n, at most size)), computed in the dtype of the states.
        """
        from torch.nn.functional import linear

        if self.head is None:
            yield 0, states.float()
            return
        weight, bias = self.head.weight, self.head.bias
        states = states.to(weight.device)
        for start in range(0, weight.shape[0], size):
            stop = start + size
            own = None if bias is None else bias[start:stop].to(states.dtype)
            logits = linear(states, weight[start:stop].to(states.dtype), own).float()
            yield start, _finished(logits, self.model.config)


def reader_of(model: Any, ids: Tensor) -> Reader:
    """The cheapest exact way to read `model`; checked once on a short piece of ids (B, T)."""
    causal = causal_of(model)
    decoder, head = causal.base_model, causal.get_output_embeddings()
    own_logits = Reader(model, decoder, None)
    if model not in _ways:
        _ways[model] = _way(model, decoder, head, own_logits, ids[:1, :CHECK_TOKENS])
    by_rows, wide = _ways[model]
    return Reader(model, decoder, head, wide) if by_rows else own_logits


def _way(model: Any, decoder: Any, head: Any, plain: Reader, ids: Tensor) -> tuple[bool, bool]:
    """Whether a model can be read by its head's rows, and whether in float32 then."""
    if decoder is not causal_of(model) and _is_plain_linear(head):
        for wide in (True, False) if may_widen(decoder) else (False,):
            if _agree(Reader(model, decoder, head, wide), plain, ids):
                return True, wide
    log("This model's head can't be read row by row: all its logits are, more slowly.")
    return False, False


def honours_trees(reader: Reader, ids: Ids) -> bool:
    """Whether the model computes branches side by side as it computes each alone.

    Found out once, on a small tree of these tokens. Some models can't (their layers mix tokens
    outside attention), and some patched ones (Unsloth's on a GPU) ignore masks and functions.
    """
    if not reader.by_rows:
        return False
    if reader.model not in _branching:
        _branching[reader.model] = _branches_agree(reader, ids)
        if not _branching[reader.model]:
            log("This model can't compute shared beginnings once: each prompt runs whole.")
    return _branching[reader.model]


def _branches_agree(reader: Reader, ids: Ids) -> bool:
    import torch

    settings = reader.decoder.config.get_text_config()
    kinds = set(getattr(settings, "layer_types", None) or ())
    if not kinds <= BRANCHING or getattr(settings, "attention_chunk_size", None):
        return False
    stem = (ids * 8)[:16]
    paths = [stem + ids[-3:] * 2, stem[::-1] + ids[:2], stem + ids[:5], stem[:10] + ids[:1] * 4]
    try:
        branched = _branched(reader, paths)
    except Exception:  # whatever a foreign model raises here, it does not honour the tree
        return False
    device = next(reader.model.parameters()).device
    alone = torch.cat([reader.states(torch.tensor([p], device=device), 1)[0] for p in paths])
    mine, own = (reader.logits(states).float() for states in (branched, alone))
    spread = float(own.max() - own.min()) or 1.0
    return bool((mine - own).abs().max() <= TOLERANCE.get(str(alone.dtype), 1e-1) * spread)


def _branched(reader: Reader, paths: Sequence[Ids]) -> Tensor:
    """What the ends of some paths hold when they are computed as one tree."""
    import torch

    roots, ends = grow(paths)
    for i, (path, end) in enumerate(zip(paths, ends, strict=True)):
        ask(end, len(path) - 1, i)
    layout = Layout()
    layout.add_trees(roots, (), CHECK_BLOCK_TOKENS)
    states = reader.branches(layout, [place for place, _ in layout.reads])
    order = torch.tensor([what for _, what in layout.reads], device=states.device)
    return states[order.argsort()]


def _is_plain_linear(head: Any) -> bool:
    """Not an adapter's layer and not quantised: its rows can be taken."""
    from torch import nn

    return isinstance(head, nn.Linear) and head.weight.is_floating_point()


def _agree(reader: Reader, plain: Reader, ids: Tensor) -> bool:
    import torch

    own = plain.states(ids, 1)[:, -1].float()
    tokens = torch.arange(own.shape[-1], device=own.device)
    try:
        state = reader.states(ids, 1)[:, -1]
    except Exception:  # a foreign model may not bear float32 in some place
        if reader.wide:
            return False
        raise
    some = tokens[:: max(1, len(tokens) // 512)]
    spread = float(own.max() - own.min()) or 1.0
    # In float32 it may differ from the model's own logits by what those are rounded.
    dtype = plain.dtype if reader.wide else str(state.dtype)
    limit = TOLERANCE.get(dtype, 1e-1) * spread
    rows = (reader.logits(state, some).to(own.device) - own[:, some]).abs().max()
    whole = (reader.logits(state).to(own.device) - own).abs().max()
    return bool(rows <= limit) and bool(whole <= limit)


def causal_of(model: Any) -> Any:
    """The model below an adapter."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _keeping(model: Any, keep: int) -> dict[str, int]:
    """The argument that spares the other positions' logits, where the model knows it."""
    known = "logits_to_keep" in inspect.signature(causal_of(model).forward).parameters
    return {"logits_to_keep": keep} if known else {}


def _finished(logits: Tensor, config: Any) -> Tensor:
    """What Gemma 2 (soft cap) and Cohere (scale) do to the logits behind the head."""
    settings = config.get_text_config()
    scale = getattr(settings, "logit_scale", None)
    cap = getattr(settings, "final_logit_softcapping", None)
    if scale is not None:
        logits = logits * scale
    return (logits / cap).tanh() * cap if cap is not None else logits
