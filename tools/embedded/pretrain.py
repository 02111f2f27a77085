"""Pre-training of the tiny models: the same documents and number of steps for every size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from solution.core import Progress, atomic_directory
from tools.embedded.documents import Document, Writer
from tools.embedded.initial import HEAD, THETA, initialise
from tools.embedded.tokenizer import build_tokenizer
from tools.embedded.world import World

if TYPE_CHECKING:
    import torch

BATCH = 16
LEARNING_RATE = 1e-3
WARM_UP = 20
# Parts first: with whole questions among them from the start, finding a number is not learnt.
PARTS: tuple[str, ...] = ("retell", "number", "lookup")
PARTS_STEPS = 370
WHOLE: tuple[str, ...] = ("number", "lookup", "whole", "whole")
# What the wiki-trained model reads on top, when it has learnt what the plain one has.
WIKI: tuple[str, ...] = ("article", "article", "quiz", "whole")
WIKI_STEPS = 320


@dataclass(frozen=True)
class Size:
    """Width and depth of a tiny model; `wiki` mixes the wiki into what it reads."""

    name: str
    width: int
    layers: int
    wiki: bool = False


SIZES = (
    Size("tiny-s", 64, 3),
    Size("tiny-m", 128, 3),
    Size("tiny-m-wiki", 128, 3, wiki=True),
    Size("tiny-l", 160, 4),
)


def pretrain(size: Size, world: World, *, steps: int, seed: int, models: Path) -> None:
    """Train one model from structured initial weights and save it in the folder `models`.

    `steps` counts those that every size does; WIKI_STEPS come on top for a wiki-trained model.
    One thread: the same sums whatever the machine's number of cores.
    """
    import torch

    torch.set_num_threads(1)
    tokenizer = build_tokenizer()
    model = build(size, tokenizer, seed)
    writer = Writer(tokenizer, world, seed)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.95), weight_decay=0.01
    )
    kinds = schedule(steps, size.wiki)
    progress = Progress(size.name, len(kinds), "steps")
    for step, kind in enumerate(kinds):
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min(1.0, (step + 1) / WARM_UP)
        loss = _loss(model, [writer.write(kind) for _ in range(BATCH)])
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        progress.advance(1, f"{kind} {loss.item():.2f}")
    save(model, tokenizer, models / size.name)


def schedule(steps: int, wiki: bool) -> list[str]:
    """The kind of document of every step: parts, then whole questions, then the wiki."""
    parts = min(steps, PARTS_STEPS)
    stages = ((PARTS, parts), (WHOLE, steps - parts), (WIKI, WIKI_STEPS if wiki else 0))
    return [turn[step % len(turn)] for turn, count in stages for step in range(count)]


def build(size: Size, tokenizer: Any, seed: int) -> Any:
    """A Qwen2 of the given size with structured initial weights."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    heads = size.width // HEAD
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=size.width,
        intermediate_size=2 * size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": THETA},
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = Qwen2ForCausalLM(config)
    initialise(model, seed)
    return model


def save(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write weights (float16, half the size and exact enough), configuration and tokenizer."""
    import copy

    import torch

    with atomic_directory(folder) as work:
        copy.deepcopy(model).to(torch.float16).save_pretrained(work)
        tokenizer.save_pretrained(work)


def _loss(model: Any, documents: Sequence[Document]) -> torch.Tensor:
    """Cross-entropy at the supervised tokens; the head runs at these positions only."""
    import torch

    longest = max(len(d.ids) for d in documents)
    ids = torch.tensor([d.ids + [0] * (longest - len(d.ids)) for d in documents])
    wanted = torch.tensor([d.supervised + [False] * (longest - len(d.ids)) for d in documents])[
        :, 1:
    ]
    hidden = model.model(input_ids=ids).last_hidden_state[:, :-1][wanted]
    return torch.nn.functional.cross_entropy(model.lm_head(hidden), ids[:, 1:][wanted])
