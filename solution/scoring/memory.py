"""Whether memory ran out, and giving back what can be given back."""

from __future__ import annotations


def out_of_memory(error: BaseException) -> bool:
    """Whether this error says that memory, of the machine or the card, ran out."""
    import torch

    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        "out of memory" in text or "not enough memory" in text or "allocate memory" in text
    )


def free_memory() -> None:
    """Give back what no longer is in use."""
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
