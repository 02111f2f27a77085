"""What this machine is: cards, processor and memory, and the number format that suits them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from solution.core import UserError

# Flags of /proc/cpuinfo that mean fast matrix products in bfloat16 ("bf16" is ARM's). With
# AVX512-BF16 alone they had half the rate of float32's (scoring.md in benchmarks/results).
BFLOAT16_FLAGS = frozenset({"amx_bf16", "bf16"})
AMPERE = (8, 0)


@dataclass(frozen=True)
class Gpu:
    """One CUDA device; memory in bytes."""

    name: str
    capability: tuple[int, int]
    memory: int
    free: int


@dataclass(frozen=True)
class Hardware:
    """The machine as torch can use it; memory in bytes, `cores` those this process may use."""

    cards: tuple[Gpu, ...]
    processor: str
    flags: frozenset[str]
    cores: int
    memory: int
    free: int

    @property
    def device(self) -> str:
        """`cuda` where there is a card, else `cpu`."""
        return "cuda" if self.cards else "cpu"

    @property
    def capability(self) -> tuple[int, int] | None:
        """The lowest compute capability among the cards."""
        return min((card.capability for card in self.cards), default=None)

    @property
    def bfloat16(self) -> bool:
        """Whether the device is fast in bfloat16; a processor without units for it is not."""
        if self.capability is not None:
            return self.capability >= AMPERE
        return bool(BFLOAT16_FLAGS & self.flags)


def detect() -> Hardware:
    """Look at the machine; imports torch, downloads nothing."""
    import psutil

    memory = psutil.virtual_memory()
    processor, flags = _processor(Path("/proc/cpuinfo"))
    return Hardware(
        cards=_cards(),
        processor=processor,
        flags=flags,
        cores=len(os.sched_getaffinity(0)),
        memory=memory.total,
        free=memory.available,
    )


def pick_dtype(hardware: Hardware, wanted: str = "auto") -> str:
    """The name of the torch dtype to compute in.

    `auto`: bfloat16 where the device has it, else float16 on a card and float32 on a processor.
    Raises UserError where bfloat16 is asked of a card that has none.
    """
    if wanted == "bfloat16" and hardware.cards and not hardware.bfloat16:
        names = ", ".join(sorted({card.name for card in hardware.cards}))
        raise UserError(
            f"dtype: {names} has no bfloat16 (compute capability below 8.0). "
            "Set dtype: float16 or auto."
        )
    if wanted != "auto":
        return wanted
    if hardware.bfloat16:
        return "bfloat16"
    return "float16" if hardware.cards else "float32"


def _cards() -> tuple[Gpu, ...]:
    import torch

    if not torch.cuda.is_available():
        return ()
    cards = []
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        name = torch.cuda.get_device_name(index)
        cards.append(Gpu(name, torch.cuda.get_device_capability(index), total, free))
    return tuple(cards)


def _processor(cpuinfo: Path) -> tuple[str, frozenset[str]]:
    """Name and flags from a file in the layout of /proc/cpuinfo; empty where there is none."""
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "processor", frozenset()
    fields: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    flags = fields.get("flags", fields.get("Features", ""))
    return fields.get("model name", "processor"), frozenset(flags.split())
