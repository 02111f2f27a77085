"""Tables of text: aligned for a terminal that shows Korean letters wide, or as Markdown."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


def width(text: str) -> int:
    """The columns a terminal gives `text`: two a Korean letter, none a combining one."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The table for a terminal: first and last column to the left, the others to the right."""
    widths = [max(map(width, column)) for column in zip(header, *rows, strict=True)]
    rule = ["-" * size for size in widths]
    return "\n".join(_line(cells, widths) for cells in (header, rule, *rows))


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The same as a Markdown table."""
    rule = [":--", *["--:"] * (len(header) - 2), ":--"]
    lines = ["| " + " | ".join(_escaped(c) for c in cells) + " |" for cells in (header, *rows)]
    return "\n".join([lines[0], "|" + "|".join(rule) + "|", *lines[1:]])


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    last = len(cells) - 1
    padded = []
    for number, (cell, size) in enumerate(zip(cells, widths, strict=True)):
        space = " " * (size - width(cell))
        padded.append(cell + space if number in (0, last) else space + cell)
    return "  ".join(padded).rstrip()
