"""The actions of `export` on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

app = typer.Typer(
    help="Export a run: merged into its base, as GGUF, or to the hub (private).",
    rich_markup_mode=None,
)
Run = Annotated[Path, Argument(help="a folder of runs/finetune")]


@app.command(epilog="Example: ./run.sh export merge runs/finetune/embedded --out merged")
def merge(
    run: Run,
    out: Annotated[Path, Option(help="folder to write")],
    base: Annotated[str | None, Option(help="the unquantised model of a quantised run")] = None,
) -> None:
    """Write a run's model with its adapter merged."""
    from solution.finetune import merge as write

    print(write(run, out, base))


@app.command(epilog="Example: ./run.sh export gguf merged --out model.gguf")
def gguf(
    model: Annotated[Path, Argument(help="folder that `export merge` wrote")],
    out: Annotated[Path, Option(help="file to write")],
    type: Annotated[str, Option(help="f16, bf16 or q8_0")] = "q8_0",
    llama_cpp: Annotated[Path | None, Option(help="its folder (default: $LLAMA_CPP)")] = None,
) -> None:
    """Convert a merged model with llama.cpp."""
    from solution.finetune import gguf as convert

    print(convert(model, out, type, llama_cpp))


@app.command(epilog="Example: ./run.sh export push runs/finetune/embedded --to NAME/adapter")
def push(
    run: Run,
    to: Annotated[str, Option(help="OWNER/NAME on the hub")],
    public: Annotated[bool, Option("--public", help="make it visible to everybody")] = False,
) -> None:
    """Upload a run's adapter to a private repository of the hub."""
    from solution.finetune import push as upload

    print(upload(run, to, public=public))
