"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from typer import Option

PACKAGE = Path(__file__).resolve().parent.parent


def names(folder: str) -> str:
    """Return the short names of configurations, such as the shipped recipes."""
    return ", ".join(sorted(path.stem for path in (PACKAGE / folder).glob("*.yaml")))


Out = Annotated[Path | None, Option(help="folder of the run")]
Set = Annotated[list[str] | None, Option("--set", metavar="KEY=VALUE", help="override a key")]
Prompt = Annotated[str, Option(help=f"{names('prompts')} or FILE.yaml")]
RunPrompt = Annotated[
    str | None,
    Option(help=f"{names('prompts')} or FILE.yaml (default: the run's, else contest)"),
]
Model = Annotated[str | None, Option(help="hub id or folder (default: that of the adapter)")]
Quantization = Annotated[
    Literal["none", "4bit", "8bit"] | None, Option(help="default: the run's, else none")
]
ModelSet = Annotated[
    list[str] | None,
    Option("--set", metavar="KEY=VALUE", help="a model's key: dtype, chat_template.X, …"),
]
Permutations = Annotated[int | None, Option(help="average over this many orders of choices")]
Debias = Annotated[
    Literal["none", "pride"] | None, Option(help="pride: correct for position bias")
]
Passages = Annotated[Path | None, Option(help="show passages of a `kowiki build`")]
TopK = Annotated[int, Option("--top-k", min=1, max=3, help="passages per question")]
Adapter = Annotated[Path | None, Option(help="folder of a PEFT adapter")]
Exam = Annotated[Path | None, Option(help="score this exam file instead of the suite's")]
Sample = Annotated[Path | None, Option(help="sample submission: its columns, order and labels")]
