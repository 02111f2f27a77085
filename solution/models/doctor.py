"""The report of `./run.sh doctor`: machine, stack, and what can run here."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from solution.core import package_version
from solution.models.hardware import Hardware, detect, pick_dtype
from solution.models.memory_plan import (
    GIB,
    FinetuneSpec,
    bytes_per_weight,
    plan_memory,
    scoring_bytes,
    weight_bytes,
)
from solution.models.reference import ModelReference
from solution.models.shape import read_shape

PACKAGES = "torch triton xformers bitsandbytes unsloth transformers trl peft".split()
LARGE = ModelReference(model="unsloth/Qwen2.5-32B-Instruct-bnb-4bit")
LARGE_TRAINING = FinetuneSpec(
    2048,
    targets=tuple("q_proj k_proj v_proj o_proj gate_proj up_proj down_proj".split()),
    optimizer="adamw_8bit",
)
FOR_WEIGHTS = 0.8
"""Share of the free memory for weights; the rest is for what is computed."""


@dataclass(frozen=True)
class Build:
    """The build of torch; a CPU build has `cuda` None and no architectures."""

    torch: str
    cuda: str | None
    architectures: tuple[str, ...]


@dataclass(frozen=True)
class Driver:
    """The first GPU and the driver as nvidia-smi reports them, independent of torch."""

    card: str
    capability: tuple[int, int]
    version: str


def doctor() -> str:
    """Return the whole report; downloads nothing and imports only torch."""
    hardware, build, driver = detect(), torch_build(), query_driver()
    disk = shutil.disk_usage(_existing(hub_cache())).free
    obstacle = card_obstacle(hardware, build, driver)
    sections = {
        "Machine": _machine(hardware, driver, disk),
        "Stack": _stack(build, bool(hardware.cards)),
        "Can run here": verdicts(hardware, obstacle, disk),
    }
    return "\n".join(
        line
        for title, lines in sections.items()
        for line in (title, *(f"  {line}" for line in lines))
    )


def torch_build() -> Build:
    """Read the CUDA version and the architectures torch was built for."""
    import torch

    # torch.cuda.get_arch_list() is empty without a GPU; the flags behind it are not.
    flags = torch._C._cuda_getArchFlags() if torch.version.cuda else ""
    return Build(str(torch.__version__), torch.version.cuda, tuple((flags or "").split()))


def query_driver() -> Driver | None:
    """Query nvidia-smi for the first GPU; None without a GPU or a driver."""
    query = "--query-gpu=name,compute_cap,driver_version"
    command = ["nvidia-smi", query, "--format=csv,noheader"]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=30, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.match(r"(.+), (\d+)\.(\d+), ([\d.]+)", answer)
    if found is None:
        return None
    name, major, minor, driver = found.groups()
    return Driver(name, (int(major), int(minor)), driver)


def installed_stack(environment: Path) -> str | None:
    """Return the stack that run.sh installed into an environment."""
    try:
        return (environment / ".stamp").read_text(encoding="utf-8").split()[0]
    except (OSError, IndexError):
        return None


def supports(architectures: tuple[str, ...], capability: tuple[int, int]) -> bool:
    """Whether code built for `architectures` (such as sm_80, compute_90) runs on a GPU.

    Machine code (sm) runs on GPUs of its major version from its minor version on, with suffix
    `a` on that GPU only; `compute` is compiled at run time for any later GPU.
    """
    for architecture in architectures:
        found = re.fullmatch(r"(sm|compute)_(\d+)(\d)([af]?)", architecture)
        if found is None:
            continue
        kind, major, minor, suffix = found.groups()
        built = (int(major), int(minor))
        same_major = kind == "compute" or built[0] == capability[0]
        if built == capability or (suffix != "a" and same_major and built <= capability):
            return True
    return False


def card_obstacle(hardware: Hardware, build: Build, driver: Driver | None) -> str | None:
    """Explain why no model can run on a GPU with this stack; None where one can."""
    capability = hardware.capability or (driver.capability if driver else None)
    if capability is None:
        return "no NVIDIA card"
    fitting = "v100" if capability < (7, 5) else "gpu"
    switch = f"EXAMQA_STACK={fitting} ./run.sh doctor sets up a stack for this card"
    if capability < (7, 0):
        return "Triton, and so Unsloth, needs compute capability 7.0 or later"
    if build.cuda is None:
        return f"this stack's torch is built without CUDA; {switch}"
    if not supports(build.architectures, capability):
        number = "".join(map(str, capability))
        return f"torch {build.torch} has no code for sm_{number}; {switch}"
    if not hardware.cards:
        shown = driver.version if driver else "unknown"
        return (
            f"torch cannot use the card: driver {shown} may be too old for CUDA {build.cuda} "
            "(update it, or EXAMQA_STACK=v100, built for CUDA 12.4), or CUDA_VISIBLE_DEVICES "
            "hides it"
        )
    return None


def verdicts(hardware: Hardware, obstacle: str | None, disk: int) -> list[str]:
    """Return one line per task: yes or no, and why not; `disk` is free bytes for downloads."""
    lines = ["yes  the embedded default: explore, finetune (no card, no download)"]
    if obstacle:
        hardware = replace(hardware, cards=())
    free, dtype = hardware.free_memory, pick_dtype(hardware)
    place = "the card" if hardware.cards else "the processor"
    # A CPU without bfloat16 units multiplies in float32: the same speed in half the memory.
    kinds = dict.fromkeys([dtype] if hardware.cards else [dtype, "bfloat16"])
    sizes = ", ".join(f"{_parameters(free, 'none', kind)} in {kind}" for kind in kinds)
    four_bit = _parameters(free, "4bit", dtype)
    lines.append(f"yes  scoring on {place}: models to {sizes}, {four_bit} in 4 bit")
    if not hardware.cards:
        lines.append(
            "     (slow: 2 cores take about 1 s a question at 0.5 B, more in proportion)"
        )
    shape = read_shape(LARGE)
    needs = {
        "scoring": scoring_bytes(LARGE, "float16"),
        "fine-tuning": plan_memory(shape, LARGE_TRAINING, free).total,
    }
    download = weight_bytes(shape, "none", "float16")
    for action, needed in needs.items():
        reason = obstacle
        if reason is None and free < needed:
            reason = f"needs about {_gib(needed)} of the card's memory, {_gib(free)} are free"
        elif reason is None and disk < download:
            reason = f"needs {_gib(download)} of disk to download, {_gib(disk)} are free"
        what = f"{action} Qwen2.5-32B in 4 bit"
        lines.append(f"no   {what}: {reason}" if reason else f"yes  {what}")
    return lines


def hub_cache() -> Path:
    """Return the folder of downloaded models."""
    home = os.environ.get("HF_HOME", "~/.cache/huggingface")
    return Path(os.environ.get("HF_HUB_CACHE", f"{home}/hub")).expanduser()


def _machine(hardware: Hardware, driver: Driver | None, disk: int) -> list[str]:
    lines = [
        f"processor: {hardware.processor}, {hardware.cores} cores",
        f"memory: {_gib(hardware.memory)}, {_gib(hardware.free)} free",
        f"disk: {_gib(disk)} free in {hub_cache()}, where models are downloaded to",
    ]
    for card in hardware.cards:
        capability = ".".join(map(str, card.capability))
        lines.append(
            f"card: {card.name}, compute capability {capability}, "
            f"{_gib(card.memory)}, {_gib(card.free)} free"
        )
    if driver and not hardware.cards:
        capability = ".".join(map(str, driver.capability))
        lines.append(f"card: {driver.card}, compute capability {capability}, not used by torch")
    elif not hardware.cards:
        lines.append("card: none")
    if driver:
        lines.append(f"driver: {driver.version}")
    bfloat16 = "with" if hardware.bfloat16 else "without"
    lines.append(f"computes in {pick_dtype(hardware)} ({hardware.device}, {bfloat16} bfloat16)")
    return lines


def _stack(build: Build, on_card: bool) -> list[str]:
    stack = installed_stack(Path(sys.prefix)) or "not set up by run.sh"
    cuda = f" (CUDA {build.cuda})" if build.cuda else ""
    lines = [
        f"{stack}, Python {platform.python_version()}, {sys.prefix}",
        f"torch is built for: {', '.join(build.architectures) or 'CPU only'}{cuda}",
        ", ".join(f"{name} {package_version(name) or '–'}" for name in PACKAGES),
    ]
    if on_card and not any(map(shutil.which, ("cc", "gcc", "clang"))):
        lines.append("no C compiler: Triton needs one to start its kernels (install gcc)")
    return lines


def _parameters(free: int, quantization: str, dtype: str) -> str:
    size = bytes_per_weight(16, quantization, dtype)
    return f"{free * FOR_WEIGHTS / size / 1e9:.0f} B parameters"


def _gib(amount: float) -> str:
    return f"{amount / GIB:.1f} GiB"


def _existing(folder: Path) -> Path:
    """Return the folder or its nearest parent that exists."""
    return next(path for path in (folder, *folder.parents) if path.exists())
