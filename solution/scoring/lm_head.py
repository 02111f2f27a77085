"""Logits at chosen positions: the LM head runs only there and for the tokens asked for."""

from __future__ import annotations

import inspect
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

from solution.core import log
from solution.scoring import rope
from solution.scoring.tree_attention import use_tree_attention
from solution.scoring.tree_batch import TreeBatch

if TYPE_CHECKING:
    from torch import Tensor

# Largest difference from the model's own logits, as a fraction of their range.
TOLERANCE = {"torch.float32": 1e-4, "torch.float16": 2e-2, "torch.bfloat16": 1e-1}
PROBE_TOKENS = 64
# Vocabulary entries per matrix product where all logits of a position are needed.
VOCAB_CHUNK = 16384

# Model -> whether its head can be applied directly (a LogitReader would keep the model alive).
_direct_head: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()


@dataclass(frozen=True)
class LogitReader:
    """Computes logits of one model; without a `head` from the model's own output (slower)."""

    model: Any
    decoder: Any
    head: Any | None

    @property
    def device(self) -> Any:
        """The device of the model's first weights, which takes the inputs."""
        return next(self.model.parameters()).device

    def forward_row(self, ids: Sequence[int], num_logits: int) -> Tensor:
        """Return the last `num_logits` positions of one sequence.

        Shape (num_logits, hidden), or (num_logits, vocabulary) where there is no head.
        """
        import torch

        rope.reset(self.decoder)
        inputs = torch.tensor([list(ids)], device=self.device)
        if self.head is not None:
            hidden = self.decoder(input_ids=inputs, use_cache=False).last_hidden_state
            return cast("Tensor", hidden[0, -num_logits:])
        options = _logits_to_keep(self.model, num_logits)
        logits = self.model(input_ids=inputs, use_cache=False, **options).logits
        return cast("Tensor", logits[0, -num_logits:])

    def forward_tree(self, batch: TreeBatch, positions: Sequence[int]) -> Tensor:
        """Return the hidden states of a tree batch at some positions: (n, hidden).

        Requires a head and a model that `supports_tree_attention`.
        """
        import torch

        rope.reset(self.decoder)
        ids = torch.tensor([batch.ids], device=self.device)
        position_ids = torch.tensor([batch.positions], device=self.device)
        with use_tree_attention(self.decoder.config, batch):
            output = self.decoder(input_ids=ids, position_ids=position_ids, use_cache=False)
        hidden = output.last_hidden_state[0]
        return cast("Tensor", hidden[torch.tensor(positions, device=hidden.device).long()])

    def token_logits(self, states: Tensor, tokens: Tensor) -> Tensor:
        """Return float32 logits (n, tokens) of `tokens` alone, from states (n, hidden)."""
        if self.head is None:
            return states[:, tokens].float()
        weight = self.head.weight[tokens.to(self.head.weight.device)].float()
        logits = states.to(weight.device).float() @ weight.T
        if self.head.bias is not None:
            logits += self.head.bias[tokens].float()
        return _scale_logits(logits, self.model.config)

    def iter_vocab_chunks(self, states: Tensor, size: int) -> Iterator[tuple[int, Tensor]]:
        """Yield (first token, float32 logits (n, at most size)) over the vocabulary.

        The product is computed in the dtype of the states.
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
            yield start, _scale_logits(logits, self.model.config)


def make_reader(model: Any) -> LogitReader:
    """Return the fastest exact reader of `model`, which is probed once."""
    causal = causal_of(model)
    head = causal.get_output_embeddings()
    own_logits = LogitReader(model, causal.base_model, None)
    direct = LogitReader(model, causal.base_model, head)
    if model not in _direct_head:
        plain = causal.base_model is not causal and _is_plain_linear(head)
        _direct_head[model] = plain and _same_logits(direct, own_logits)
        if not _direct_head[model]:
            log(
                "Falling back to full-vocabulary logits (slower): the LM head is not a plain "
                "nn.Linear, or the model changes its logits."
            )
    return direct if _direct_head[model] else own_logits


def probe_ids(model: Any, count: int) -> tuple[int, ...]:
    """Return token ids to probe a model with: what is found depends on the model alone."""
    size = int(model.config.get_text_config().vocab_size)
    return tuple(random.Random(0).choices(range(size), k=count))


def within_tolerance(found: Tensor, expected: Tensor, dtype: str) -> bool:
    """Return whether log-probabilities of logits in `dtype` are equal but for rounding."""
    expected = expected.float().log_softmax(-1)
    found = found.float().log_softmax(-1)
    spread = float(expected.max() - expected.min()) or 1.0
    largest = (found.to(expected.device) - expected).abs().max()
    return bool(largest <= TOLERANCE.get(dtype, 1e-1) * spread)


def causal_of(model: Any) -> Any:
    """Return the causal language model below an adapter."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


@contextmanager
def evaluation_mode(model: Any) -> Iterator[None]:
    """Switch a model to evaluation without gradients within the context."""
    import torch

    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module in training:
            module.training = True


def _is_plain_linear(head: Any) -> bool:
    """Return whether rows of the head's weight can be used: no adapter, not quantised."""
    from torch import nn

    return isinstance(head, nn.Linear) and head.weight.is_floating_point()


def _same_logits(direct: LogitReader, own_logits: LogitReader) -> bool:
    import torch

    ids = probe_ids(direct.model, PROBE_TOKENS)
    expected = own_logits.forward_row(ids, 1).float()
    state = direct.forward_row(ids, 1)
    tokens = torch.arange(expected.shape[-1], device=expected.device)
    some = tokens[:: max(1, len(tokens) // 512)]
    chunks = [chunk for _, chunk in direct.iter_vocab_chunks(state, VOCAB_CHUNK)]
    dtype = str(state.dtype)
    return within_tolerance(
        direct.token_logits(state, some), expected[:, some], dtype
    ) and within_tolerance(torch.cat(chunks, -1), expected, dtype)


def _logits_to_keep(model: Any, num_logits: int) -> dict[str, int]:
    """Return the argument that skips other positions' logits, if the model takes it."""
    parameters = inspect.signature(causal_of(model).forward).parameters
    return {"logits_to_keep": num_logits} if "logits_to_keep" in parameters else {}


def _scale_logits(logits: Tensor, config: Any) -> Tensor:
    """Apply the soft cap (Gemma 2) or scale (Cohere) that follows the head."""
    settings = config.get_text_config()
    scale = getattr(settings, "logit_scale", None)
    cap = getattr(settings, "final_logit_softcapping", None)
    if scale is not None:
        logits = logits * scale
    return (logits / cap).tanh() * cap if cap is not None else logits
