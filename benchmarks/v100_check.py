"""Does this stack still run on a V100? Asked without one, of the files themselves.

Reads which cards the libraries of torch, xformers and bitsandbytes hold machine code for, and
compiles the Triton kernels that Unsloth trains Qwen2 with for compute capability 7.0, at the
shapes of Qwen2.5-32B. Run it with the v100 stack after every change of its pins:

    EXAMQA_STACK=v100 EXAMQA_VENV=.venv-v100 ./run.sh doctor
    .venv-v100/bin/python benchmarks/v100_check.py

Prints a table and exits with 1 where anything fails. Compiled, not run: no card is used.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

VOLTA = 70
# Shapes of Qwen2.5-32B: what the kernels' constants are in its training.
HIDDEN, INNER, HEADS, KEYS, HEAD, VOCABULARY = 5120, 27648, 40, 8, 128, 152064
CONSTANTS: dict[str, Any] = {
    "n_cols": HIDDEN,
    "BLOCK_SIZE": 8192,
    "eps": 1e-6,
    "GEMMA": False,
    "ROWS": 1,
    "WARPS": 8,
    "LONG_INDEXING": False,
    "n_heads_Q": HEADS,
    "n_heads_K": KEYS,
    "n_groups_Q": HEADS // KEYS,
    "n_heads": HEADS,
    "half_head_dim": HEAD // 2,
    "head_dim": HEAD,
    "BACKWARD_PASS": False,
    "HAS_ROPE_INDICES": False,
    "CAST_TO_SIN": False,
    "HEADS_Q": HEADS,
    "HEADS_K": KEYS,
    "EVICT_INDICES": False,
    "VOCAB_SIZE": VOCABULARY,
    "N_CHUNKS": 3,
    "DO_SOFTCAPPING": False,
    "SOFTCAP": 0.0,
    "DO_LOGIT_SCALING": False,
    "LOGIT_SCALE": 0.0,
}
# Kernel -> what differs from the constants above. Blocks as Unsloth chooses them.
KERNELS: dict[tuple[str, str], dict[str, Any]] = {
    ("rms_layernorm", "_rms_layernorm_forward"): {},
    ("rms_layernorm", "_rms_layernorm_backward"): {},
    ("rope_embedding", "_rope_embedding_QK"): {"BLOCK_SIZE": 64, "HEADS_Q": 8, "HEADS_K": 8},
    ("swiglu", "_fg_kernel"): {"BLOCK_SIZE": 1024},
    ("swiglu", "_DWf_DW_dfg_kernel"): {"BLOCK_SIZE": 1024},
    ("cross_entropy_loss", "_chunked_cross_entropy_forward"): {"BLOCK_SIZE": 65536},
    ("cross_entropy_loss", "_cross_entropy_backward"): {"BLOCK_SIZE": 4096},
}
Finding = tuple[str, bool, str]
"""What was looked at, whether it is fit for a V100, and why."""
NUMBERS = re.compile(r"^(n_|seqlen|.*_stride$|.*rows$|blocks_)")
TYPES = {"r": "*fp32", "loss_ptr": "*fp32", "logsumexp_ptr": "*fp32", "labels_ptr": "*i64"}
TYPES |= {"dloss_ptr": "*fp32", "rope_embedding_indices": "*i32"}
LIBRARIES = {
    "xformers": "_C*.so",
    "bitsandbytes": "libbitsandbytes_cuda124.so",
}


def main() -> int:
    """Print the table; 0 where everything is fit for a V100."""
    os.environ.setdefault("UNSLOTH_ALLOW_CPU", "1")
    os.environ.setdefault("UNSLOTH_DISABLE_STATISTICS", "1")
    checks: list[Callable[[], Finding]] = [torch_library, tensor_cores]
    checks += [partial(kernel, *names, changes) for names, changes in KERNELS.items()]
    checks += [partial(library, name, pattern) for name, pattern in LIBRARIES.items()]
    fine = True
    for check in checks:
        name, fit, detail = check()
        print(f"{'yes' if fit else 'NO '}  {name:55}  {detail}", flush=True)
        fine = fine and fit
    return 0 if fine else 1


def torch_library() -> Finding:
    """Which cards torch says it was built for (its library would take minutes to list)."""
    import torch

    told = torch._C._cuda_getArchFlags() or "no card" if torch.version.cuda else "no card"
    return f"torch {torch.__version__}", f"sm_{VOLTA}" in told, told


def library(name: str, pattern: str) -> Finding:
    """Which cards a library holds machine code for, by Triton's own cuobjdump."""
    found = importlib.util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        return name, False, "not installed"
    files = sorted(Path(found.submodule_search_locations[0]).glob(pattern))
    cards: set[int] = set()
    for file in files:
        listed = subprocess.run(
            [str(cuobjdump()), "--list-elf", str(file)],
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        cards |= {int(card) for card in re.findall(r"\bsm_(\d+)", listed)}
    told = ", ".join(f"sm_{card}" for card in sorted(cards)) or "no code of any card"
    return f"{name} {version(name)}", VOLTA in cards, told


def cuobjdump() -> Path:
    """The copy of NVIDIA's tool that comes with Triton."""
    spec = importlib.util.find_spec("triton")
    assert spec and spec.submodule_search_locations, "the v100 stack holds Triton"
    return Path(spec.submodule_search_locations[0]) / "backends/nvidia/bin/cuobjdump"


def tensor_cores() -> Finding:
    """Whether Triton turns a float16 product into Volta's own instruction (mma.m8n8k4)."""
    name = f"triton {version('triton')}, float16 product"
    folder = Path(__file__).resolve().parent
    sys.path.insert(0, str(folder))
    from v100_product import product

    signature = {"a": "*fp16", "b": "*fp16", "c": "*fp32", "SIZE": "constexpr"}
    try:
        text = compiled(product, signature, {"SIZE": 64})
    except Exception as error:  # whatever the compiler throws is the finding
        return name, False, said(error)
    return name, "m8n8k4" in text, "tensor cores" if "m8n8k4" in text else "plain, slow code"


def kernel(module: str, name: str, changes: dict[str, Any]) -> Finding:
    """Compile one of Unsloth's kernels."""
    label = f"unsloth {module}.{name.strip('_')}"
    try:
        function = getattr(importlib.import_module(f"unsloth.kernels.{module}"), name)
        while not hasattr(function, "params"):  # heuristics wrap the kernel
            function = function.fn
        signature, constants = described(function, CONSTANTS | changes)
        text = compiled(function, signature, constants)
    except Exception as error:  # whatever the compiler throws is the finding
        return label, False, said(error)
    return label, "sm_70" in text, f"{text.count(chr(10))} lines of PTX"


def described(function: Any, known: dict[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    """The types of a kernel's parameters, and the values of its constants."""
    signature, constants = {}, {}
    for parameter in function.params:
        name = parameter.name
        if parameter.is_constexpr:
            signature[name] = "constexpr"
            constants[name] = known.get(name, HIDDEN if name.endswith("_stride") else None)
        else:
            signature[name] = TYPES.get(name, "i32" if NUMBERS.match(name) else "*fp16")
    return signature, constants


def compiled(function: Any, signature: dict[str, str], constants: dict[str, Any]) -> str:
    """The PTX of a kernel for a V100."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    source = ASTSource(function, signature, constants)
    return str(triton.compile(source, target=GPUTarget("cuda", VOLTA, 32)).asm["ptx"])


def said(error: Exception) -> str:
    """The last line of what went wrong."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[-1][:90]}"


if __name__ == "__main__":
    sys.exit(main())
