"""Structured initial weights, so that a small model learns to look things up within minutes.

After "Mimetic Initialization of Self-Attention Layers" (Trockman & Kolter, 2023,
arXiv 2305.09828): the first layer's heads begin as windows on the last few tokens, written to
subspaces of their own in the residual stream (the token just before; the last four; those
before them; those of a question that has just ended); later heads begin by matching equal
content between these subspaces or between tokens. Everything is trained from there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

HEAD = 32
THETA = 10_000.0
MATCH = 2.1
WRITE = 3.0
PREVIOUS, RECENT, EARLIER, QUESTION = (1, 1), (0, 3), (3, 6), (6, 13)
WINDOWS = {
    2: (RECENT, QUESTION),
    4: (PREVIOUS, RECENT, QUESTION, EARLIER),
    5: (PREVIOUS, RECENT, QUESTION, EARLIER, (2, 2)),
}


def initialise(model: Any, seed: int) -> None:
    """Overwrite, in place, the weights of a Qwen2 with 2, 4 or 5 heads of width 32."""
    import torch

    torch.manual_seed(seed)
    with torch.no_grad():
        # The head is tied to these wide embeddings: a small scale keeps first guesses mild.
        model.model.norm.weight.fill_(0.6)
        spaces = _Spaces(model.config.hidden_size)
        words = model.model.embed_tokens.weight.normal_(0, 0.5)
        # Room for what the windows write.
        words -= 0.7 * words @ spaces.written.T @ spaces.written
        for number, layer in enumerate(model.model.layers):
            _plain(layer)
            heads = model.config.num_attention_heads
            for head in range(heads):
                if number == 0:
                    _window_head(layer.self_attn, head, WINDOWS[heads][head], spaces)
                else:
                    _matching_head(layer.self_attn, head, number, spaces)


class _Spaces:
    """Orthonormal bases of the residual stream: tokens and what each window writes."""

    def __init__(self, width: int) -> None:
        import torch

        self.rank = rank = min(HEAD, width // 5)
        basis = torch.linalg.qr(torch.randn(width, width))[0].T
        self.token, self.previous, self.recent, self.earlier, self.question = (
            basis[k * rank : (k + 1) * rank] for k in range(5)
        )
        self.written = basis[rank : 5 * rank]


def _plain(layer: Any) -> None:
    attention, mlp = layer.self_attn, layer.mlp
    width, inner = mlp.down_proj.weight.shape
    for projection in (mlp.gate_proj, mlp.up_proj):
        projection.weight.normal_(0, width**-0.5)
    mlp.down_proj.weight.normal_(0, 0.1 * inner**-0.5)
    for projection in (attention.q_proj, attention.k_proj):
        projection.weight.normal_(0, 0.01)
    for projection in (attention.v_proj, attention.o_proj):
        projection.weight.normal_(0, 0.3 * width**-0.5)


def _window_head(attention: Any, head: int, window: tuple[int, int], spaces: _Spaces) -> None:
    """Attend to the tokens `window` back, by the biases alone.

    With rotary positions two constant vectors score a sum of cosines of the distance.
    """
    import torch

    rows = slice(head * HEAD, (head + 1) * HEAD)
    cosines, sines = _kernel(window)
    size = (cosines**2 + sines**2).sqrt().clamp_min(1e-6)
    root = size.sqrt() * HEAD**0.25
    attention.q_proj.bias[rows] = torch.cat([root, torch.zeros_like(root)])
    attention.k_proj.bias[rows] = torch.cat([root * cosines / size, root * sines / size])
    places = {
        PREVIOUS: spaces.previous,
        RECENT: spaces.recent,
        EARLIER: spaces.earlier,
        QUESTION: spaces.question,
    }
    if window in places:
        values = slice(head * HEAD, head * HEAD + spaces.rank)
        attention.v_proj.weight[values] = spaces.token
        attention.o_proj.weight[:, values] = WRITE * places[window].T


def _kernel(window: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosine and sine weights, one a rotary frequency, whose sum is high inside the window."""
    import torch

    near, far = window
    if near == far:  # as sharp a peak as the frequencies allow
        size = 8.0 * _frequencies().sqrt() * (_frequencies() > 0.03)
        angle = near * _frequencies()
        return size * torch.cos(angle), size * torch.sin(angle)
    distance = torch.arange(0, 400).float()
    inside = (distance >= near) & (distance <= far)
    wanted = torch.where(inside, 14.0, 0.0)
    edge = (distance >= near - 1) & (distance <= far + 1)
    weight = torch.where(edge, 3.0, torch.where(distance < 30, 1.0, 0.3))[:, None]
    angles = distance[:, None] * _frequencies()
    waves = torch.cat([torch.cos(angles), torch.sin(angles)], 1)
    gram = (waves * weight).T @ waves + 0.05 * torch.eye(HEAD)
    solved = torch.linalg.solve(gram, (waves * weight).T @ wanted)
    return solved[: HEAD // 2], solved[HEAD // 2 :]


def _matching_head(attention: Any, head: int, depth: int, spaces: _Spaces) -> None:
    """Attend to equal content, and pass on a token or what stood before it.

    In turn: places whose recent tokens are those of the question, passing on their token;
    places of the token just before, passing on what stood there; places with the same recent
    tokens, passing on theirs; places just after an earlier token like this one (induction).
    """
    import torch

    half, role = HEAD // 2, head % 4
    # Only the slow rotations: matching must not depend on the distance.
    slow = [k for k in range(half) if _frequencies()[k] < 0.02]
    rows = [head * HEAD + k for k in slow + [k + half for k in slow]]
    around = spaces.recent + spaces.earlier
    # The second hop, deeper down: from a token that was found to what stands behind it.
    last = (spaces.token, spaces.previous) if depth > 1 else (spaces.question, spaces.recent)
    query, key, take, give = (
        (spaces.question, around, spaces.token, spaces.token),
        (spaces.previous, spaces.token, around, spaces.recent),
        (around, around, spaces.token, spaces.token),
        (*last, spaces.token, spaces.token),
    )[role]
    mix = MATCH * torch.randn(len(rows), spaces.rank) / spaces.rank**0.5
    attention.q_proj.weight[rows] = mix @ query
    attention.k_proj.weight[rows] = mix @ key
    values = slice(head * HEAD, head * HEAD + spaces.rank)
    attention.v_proj.weight[values] = take
    attention.o_proj.weight[:, values] = give.T


def _frequencies() -> torch.Tensor:
    import torch

    half = HEAD // 2
    return THETA ** (-torch.arange(half) / half)
