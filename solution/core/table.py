"""Text tables: aligned for a terminal (Korean letters are two columns wide) or as Markdown."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


def width(text: str) -> int:
    """Return the columns of `text`: two for a wide letter, none for a combining one."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format for a terminal: first and last column left-aligned, the others right-aligned."""
    widths = [max(map(width, column)) for column in zip(header, *rows, strict=True)]
    rule = ["-" * size for size in widths]
    return "\n".join(_line(cells, widths) for cells in (header, rule, *rows))


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format as a Markdown table with the same alignment."""
    rule = [":--", *["--:"] * (len(header) - 2), ":--"]
    table = [[cell.replace("|", "\\|") for cell in cells] for cells in (header, *rows)]
    lines = ["| " + " | ".join(cells) + " |" for cells in table]
    return "\n".join([lines[0], "|" + "|".join(rule) + "|", *lines[1:]])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    last = len(cells) - 1
    padded = []
    for number, (cell, size) in enumerate(zip(cells, widths, strict=True)):
        space = " " * (size - width(cell))
        padded.append(cell + space if number in (0, last) else space + cell)
    return "  ".join(padded).rstrip()
