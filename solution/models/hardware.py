"""The hardware of this machine, and the dtype that suits it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from solution.core import UserError

# Flags of /proc/cpuinfo for fast bfloat16 matrix products ("bf16" is ARM's). AVX512-BF16
# without AMX reaches half the rate of float32 (benchmarks/results/scoring.md).
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
    """The machine as torch sees it; memory in bytes, `cores` available to this process."""

    cards: tuple[Gpu, ...]
    processor: str
    flags: frozenset[str]
    cores: int
    memory: int
    free: int

    @property
    def device(self) -> str:
        """`cuda` with a GPU, else `cpu`."""
        return "cuda" if self.cards else "cpu"

    @property
    def free_memory(self) -> int:
        """Free bytes where a model is loaded: all GPUs, else main memory."""
        return sum(card.free for card in self.cards) if self.cards else self.free

    @property
    def capability(self) -> tuple[int, int] | None:
        """The lowest compute capability of the GPUs."""
        return min((card.capability for card in self.cards), default=None)

    @property
    def bfloat16(self) -> bool:
        """Whether bfloat16 is fast here (it is slow on CPUs without AMX/bf16 instructions)."""
        if self.capability is not None:
            return self.capability >= AMPERE
        return bool(BFLOAT16_FLAGS & self.flags)


def detect() -> Hardware:
    """Detect the hardware; imports torch, downloads nothing."""
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
    """Return the name of the torch dtype to compute in.

    `auto` is bfloat16 where it is fast, else float16 on a GPU and float32 on a CPU. Raises
    UserError for bfloat16 on a GPU without it.
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
    """Read name and flags from a file in the format of /proc/cpuinfo."""
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
