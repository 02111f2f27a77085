"""What `./run.sh doctor` says: the machine, the stack, and what can run before any download."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from solution.models.hardware import Hardware, detect, pick_dtype

GIB = 2**30
PACKAGES = (
    "torch",
    "triton",
    "xformers",
    "bitsandbytes",
    "unsloth",
    "transformers",
    "trl",
    "peft",
)
# Qwen2.5-32B in 4 bit: what its download takes, and free memory to score and to tune it (GiB).
LARGE_DOWNLOAD, LARGE_SCORE, LARGE_TUNE = 20, 20, 24
# Bytes a weight in memory; a fifth of the memory is left to what is computed.
WEIGHT_BYTES = {"float32": 4.0, "float16": 2.0, "bfloat16": 2.0, "4bit": 0.6}
FOR_WEIGHTS = 0.8


@dataclass(frozen=True)
class Build:
    """What torch was built for; `cuda` is None and `architectures` empty in a CPU build."""

    torch: str
    cuda: str | None
    architectures: tuple[str, ...]


@dataclass(frozen=True)
class Driver:
    """The first card as nvidia-smi sees it, whatever torch makes of it."""

    card: str
    capability: tuple[int, int]
    version: str


def doctor() -> str:
    """The whole report as text; downloads nothing and imports torch alone."""
    hardware, build, driver = detect(), torch_build(), query_driver()
    stack = installed_stack(Path(sys.prefix))
    obstacle = card_obstacle(hardware, build, driver)
    disk = shutil.disk_usage(_existing(hub_cache())).free
    sections = {
        "Machine": _machine(hardware, driver, disk),
        "Stack": _stack(stack, build, bool(hardware.cards)),
        "Can run here": verdicts(hardware, obstacle, disk),
    }
    return "\n".join(
        line
        for title, lines in sections.items()
        for line in (title, *(f"  {line}" for line in lines))
    )


def torch_build() -> Build:
    """Read what torch was built for, which it also knows where there is no card."""
    import torch

    # torch.cuda.get_arch_list() is empty without a card; the flags behind it are not.
    flags = torch._C._cuda_getArchFlags() if torch.version.cuda else ""
    return Build(str(torch.__version__), torch.version.cuda, tuple((flags or "").split()))


def query_driver() -> Driver | None:
    """Ask nvidia-smi for its first card; None where there is no card or no driver."""
    query = "--query-gpu=name,compute_cap,driver_version"
    try:
        answer = subprocess.run(
            ["nvidia-smi", query, "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.match(r"(.+), (\d+)\.(\d+), ([\d.]+)", answer)
    if found is None:
        return None
    name, major, minor, driver = found.groups()
    return Driver(name, (int(major), int(minor)), driver)


def installed_stack(environment: Path) -> str | None:
    """Which stack run.sh installed into an environment; None where it was not run.sh."""
    try:
        return (environment / ".stamp").read_text(encoding="utf-8").split()[0]
    except (OSError, IndexError):
        return None


def serves(architectures: tuple[str, ...], capability: tuple[int, int]) -> bool:
    """Whether code built for `architectures` (such as sm_80, compute_90) runs on a card.

    Machine code (sm) runs on cards of its own major version from its minor version on, with an
    `a` on that card alone; `compute` is compiled on the spot for any later card.
    """
    for architecture in architectures:
        found = re.fullmatch(r"(sm|compute)_(\d+)(\d)([af]?)", architecture)
        if found is None:
            continue
        kind, major, minor, suffix = found.groups()
        built = (int(major), int(minor))
        if suffix == "a":
            fits = built == capability
        elif kind == "compute":
            fits = built <= capability
        else:
            fits = built[0] == capability[0] and built <= capability
        if fits:
            return True
    return False


def card_obstacle(hardware: Hardware, build: Build, driver: Driver | None) -> str | None:
    """Why no model can run on a card with this stack, and the remedy; None where one can."""
    capability = hardware.capability or (driver.capability if driver else None)
    if capability is None:
        return "no NVIDIA card"
    fitting = "v100" if capability < (7, 5) else "gpu"
    switch = f"EXAMQA_STACK={fitting} ./run.sh doctor sets up a stack for this card"
    if capability < (7, 0):
        return "Triton, and so Unsloth, needs compute capability 7.0 or later"
    if build.cuda is None:
        return f"this stack's torch is built without CUDA; {switch}"
    if not serves(build.architectures, capability):
        return f"torch {build.torch} holds no code for sm_{_joined(capability)}; {switch}"
    if not hardware.cards:
        shown = driver.version if driver else "unknown"
        return (
            f"torch cannot use the card: driver {shown} may be too old for CUDA {build.cuda} "
            "(update it, or EXAMQA_STACK=v100, built for CUDA 12.4), or CUDA_VISIBLE_DEVICES "
            "hides it"
        )
    return None


def verdicts(hardware: Hardware, obstacle: str | None, disk: int) -> list[str]:
    """One line for each thing a user may want to run: yes or no, and why not.

    `disk` is the number of bytes free where models are downloaded to.
    """
    lines = ["yes  the embedded default: explore, finetune (no card, no download)"]
    if obstacle:
        hardware = replace(hardware, cards=())
    free = sum(card.free for card in hardware.cards) if hardware.cards else hardware.free
    dtype = pick_dtype(hardware)
    place = "the card" if hardware.cards else "the processor"
    # A processor multiplies bfloat16 weights in float32: as fast, in half the memory.
    kinds = dict.fromkeys([dtype] if hardware.cards else [dtype, "bfloat16"])
    sizes = [f"{_billions(free, kind)} in {kind}" for kind in kinds]
    packed = _billions(free, "4bit")
    lines.append(f"yes  scoring on {place}: models to {', '.join(sizes)}, {packed} in 4 bit")
    if not hardware.cards:
        lines.append(
            "     (slow: 2 cores take about 1 s a question at 0.5 B, more in proportion)"
        )
    for action, needed in (("scoring", LARGE_SCORE), ("fine-tuning", LARGE_TUNE)):
        reason = obstacle or _shortage(free, needed, disk)
        what = f"{action} Qwen2.5-32B in 4 bit"
        lines.append(f"no   {what}: {reason}" if reason else f"yes  {what}")
    return lines


def hub_cache() -> Path:
    """Where transformers keeps what it downloads."""
    home = os.environ.get("HF_HOME", "~/.cache/huggingface")
    return Path(os.environ.get("HF_HUB_CACHE", f"{home}/hub")).expanduser()


def _machine(hardware: Hardware, driver: Driver | None, disk: int) -> list[str]:
    bfloat16 = "with" if hardware.bfloat16 else "without"
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
    if driver:
        lines.append(f"driver: {driver.version}")
    if not hardware.cards and driver is None:
        lines.append("card: none")
    lines.append(f"computes in {pick_dtype(hardware)} ({hardware.device}, {bfloat16} bfloat16)")
    return lines


def _stack(stack: str | None, build: Build, on_card: bool) -> list[str]:
    lines = [
        f"{stack or 'not set up by run.sh'}, Python {platform.python_version()}, {sys.prefix}",
        f"torch is built for: {', '.join(build.architectures) or 'the processor alone'}"
        + (f" (CUDA {build.cuda})" if build.cuda else ""),
        ", ".join(f"{name} {_version(name)}" for name in PACKAGES),
    ]
    if on_card and not any(map(shutil.which, ("cc", "gcc", "clang"))):
        lines.append("no C compiler: Triton needs one to start its kernels (install gcc)")
    return lines


def _shortage(free: int, needed: int, disk: int) -> str | None:
    if free < needed * GIB:
        return f"needs about {needed} GiB of the card's memory, {_gib(free)} are free"
    if disk < LARGE_DOWNLOAD * GIB:
        return f"needs {LARGE_DOWNLOAD} GiB of disk to download, {_gib(disk)} are free"
    return None


def _billions(free: int, kind: str) -> str:
    return f"{free * FOR_WEIGHTS / WEIGHT_BYTES[kind] / 1e9:.0f} B parameters"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "–"


def _joined(capability: tuple[int, int]) -> str:
    return "".join(map(str, capability))


def _gib(amount: int) -> str:
    return f"{amount / GIB:.1f} GiB"


def _existing(folder: Path) -> Path:
    """The folder or the nearest parent that exists."""
    return next(place for place in (folder, *folder.parents) if place.exists())
