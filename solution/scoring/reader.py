"""Reads a model at chosen positions: the head runs only there and for the tokens asked for."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

from solution.base import note
from solution.scoring.attention import attending
from solution.scoring.last_layer import read_only_at
from solution.scoring.layout import Layout
from solution.scoring.tree import Ids, ask, grow

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
_by_rows: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()
_branching: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()


@dataclass(frozen=True)
class Reader:
    """How to read one model; without a head its own logits are read, which costs more."""

    model: Any
    decoder: Any
    head: Any | None

    @property
    def by_rows(self) -> bool:
        """Whether the head is applied to chosen tokens only."""
        return self.head is not None

    def states(self, ids: Tensor, keep: int) -> Tensor:
        """What the last `keep` positions of ids (B, T) hold: (B, keep, hidden), or logits.

        No mask: rows are padded on the right, and a causal model's positions see no later one.
        """
        if self.head is not None:
            hidden = self.decoder(input_ids=ids, use_cache=False).last_hidden_state
            return cast("Tensor", hidden[:, -keep:])
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
            hidden = self.decoder(
                input_ids=ids, position_ids=positions, use_cache=False
            ).last_hidden_state
        return cast("Tensor", hidden[0, torch.tensor(places, device=hidden.device).long()])

    def logits(self, states: Tensor, tokens: Tensor | None = None) -> Tensor:
        """Float32 logits (n, vocabulary) of states (n, hidden), or only those of `tokens`."""
        if self.head is None:
            return (states if tokens is None else states[:, tokens]).float()
        if tokens is None:
            return _finished(self.head(states).float(), self.model.config)
        weight = self.head.weight[tokens.to(self.head.weight.device)].float()
        logits = states.to(weight.device).float() @ weight.T
        if self.head.bias is not None:
            logits += self.head.bias[tokens].float()
        return _finished(logits, self.model.config)

    def pieces(self, states: Tensor, size: int) -> Iterator[tuple[int, Tensor]]:
        """The float32 logits of states (n, hidden) for `size` tokens after another.

        Gives (first token, logits (n, at most size)), computed in the model's own dtype.
        """
        from torch.nn.functional import linear

        if self.head is None:
            yield 0, states.float()
            return
        weight, bias = self.head.weight, self.head.bias
        states = states.to(weight.device)
        for start in range(0, weight.shape[0], size):
            stop = start + size
            own = None if bias is None else bias[start:stop]
            logits = linear(states, weight[start:stop], own).float()
            yield start, _finished(logits, self.model.config)


def reader_of(model: Any, ids: Tensor) -> Reader:
    """The cheapest exact way to read `model`; checked once on a short piece of ids (B, T)."""
    causal = model.get_base_model() if hasattr(model, "get_base_model") else model
    decoder, head = causal.base_model, causal.get_output_embeddings()
    by_rows = Reader(model, decoder, head)
    own_logits = Reader(model, decoder, None)
    if model not in _by_rows:
        possible = decoder is not causal and _is_plain_linear(head)
        _by_rows[model] = possible and _agree(by_rows, own_logits, ids[:1, :CHECK_TOKENS])
        if not _by_rows[model]:
            note("This model's head can't be read row by row: all its logits are, more slowly.")
    return by_rows if _by_rows[model] else own_logits


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
            note("This model can't compute shared beginnings once: each prompt runs whole.")
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
    state = reader.states(ids, 1)[:, -1]
    some = tokens[:: max(1, len(tokens) // 512)]
    spread = float(own.max() - own.min()) or 1.0
    limit = TOLERANCE.get(str(state.dtype), 1e-1) * spread
    rows = (reader.logits(state, some).to(own.device) - own[:, some]).abs().max()
    whole = (reader.logits(state).to(own.device) - own).abs().max()
    return bool(rows <= limit) and bool(whole <= limit)


def _keeping(model: Any, keep: int) -> dict[str, int]:
    """The argument that spares the other positions' logits, where the model knows it."""
    causal = model.get_base_model() if hasattr(model, "get_base_model") else model
    known = "logits_to_keep" in inspect.signature(causal.forward).parameters
    return {"logits_to_keep": keep} if known else {}


def _finished(logits: Tensor, config: Any) -> Tensor:
    """What Gemma 2 (soft cap) and Cohere (scale) do to the logits behind the head."""
    settings = config.get_text_config()
    scale = getattr(settings, "logit_scale", None)
    cap = getattr(settings, "final_logit_softcapping", None)
    if scale is not None:
        logits = logits * scale
    return (logits / cap).tanh() * cap if cap is not None else logits
