"""Whole pages of wikitext against the text that a reader expects.

Beside NAME.wiki lie NAME.txt, its sentences by section, and where it matters NAME.yaml: the
templates that took a sentence with them, the sections left out, the reason why the page is.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from solution.core import read_yaml
from solution.kowiki.passages import Cut, cut_page
from solution.kowiki.sources import Page

PAGES = sorted(Path(__file__).parent.joinpath("pages").glob("*.wiki"))


def cut(path: Path) -> Cut:
    text = path.read_text(encoding="utf-8")
    return cut_page(Page("1", path.stem, text, model="wikitext"), 10**6, 0)


def expected_sections(path: Path) -> dict[str, str]:
    """Read NAME.txt: the text of each section by its path of headings."""
    found: dict[str, str] = {}
    titles: list[tuple[int, str]] = []
    for line in path.with_suffix(".txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("=="):
            level = len(line) - len(line.lstrip("="))
            titles = [one for one in titles if one[0] < level] + [
                (level, line[level:-level].strip())
            ]
        elif line:
            section = " > ".join(title for _, title in titles)
            found[section] = f"{found[section]} {line}" if section in found else line
    return found


def expected_notes(path: Path) -> dict[str, object]:
    notes = path.with_suffix(".yaml")
    return dict(read_yaml(notes)) if notes.exists() else {}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_reads_as_a_reader_sees_it(path: Path) -> None:
    found = cut(path)
    assert {passage.section: passage.text for passage in found.passages} == expected_sections(
        path
    )
    assert found.reason == expected_notes(path).get("reason", "")


NOTED = [path for path in PAGES if expected_notes(path).keys() & {"dropped", "sections"}]


@pytest.mark.parametrize("path", NOTED, ids=lambda path: path.stem)
def test_what_was_left_out_of_a_page_is_counted(path: Path) -> None:
    found, notes = cut(path), expected_notes(path)
    assert dict(found.counts["templates"]) == notes.get("dropped", {})
    if "sections" in notes:
        assert dict(found.counts["sections"]) == notes["sections"]


def test_there_are_pages_enough() -> None:
    assert len(PAGES) >= 60
