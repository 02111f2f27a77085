"""Detection of memory exhaustion, and the release of cached memory."""

from __future__ import annotations


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether `error` reports that main or GPU memory is exhausted."""
    import torch

    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        "out of memory" in text or "not enough memory" in text or "allocate memory" in text
    )


def free_memory() -> None:
    """Release cached memory."""
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
