"""The embedded wiki: an article on every subject of the land, as a MediaWiki dump (bz2)."""

from __future__ import annotations

import bz2
import random
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from xml.sax.saxutils import escape

from solution.core import atomic_write
from tools.embedded.facts import Fact
from tools.embedded.korean import with_particles
from tools.embedded.world import World

COUNTRY = "해든나라"
KINDS = {"city": "도시", "ruler": "임금", "office": "관청"}
INTRODUCTIONS = {
    "city": "'''{x}'''{은} [[해든나라]]의 도시이다.",
    "ruler": "'''{x}'''{은} [[해든나라]]의 임금이다.",
    "office": "'''{x}'''{은} [[해든나라]]의 관청이다.",
}
_HEAD = """\
<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="ko">
  <siteinfo>
    <sitename>해든백과</sitename>
    <dbname>haedeunwiki</dbname>
    <namespaces><namespace key="0" /><namespace key="10">틀</namespace></namespaces>
  </siteinfo>
"""
_PAGE = """  <page>
    <title>{title}</title>
    <ns>{ns}</ns>
    <id>{id}</id>{redirect}
    <revision>
      <id>{id}</id>
      <timestamp>2026-11-01T00:00:00Z</timestamp>
      <model>wikitext</model>
      <format>text/x-wiki</format>
      <text xml:space="preserve">{text}</text>
    </revision>
  </page>
"""


def write_wiki(world: World, seed: int, path: Path) -> None:
    """Write the dump; the bytes depend only on the world and the seed."""
    rng = random.Random(seed)
    pages = [_HEAD]
    for number, (title, ns, text) in enumerate(_pages(world, rng), start=1):
        redirect = (
            f'\n    <redirect title="{COUNTRY}" />' if text.startswith("#넘겨주기") else ""
        )
        pages.append(
            _PAGE.format(
                title=escape(title), ns=ns, id=number, redirect=redirect, text=escape(text)
            )
        )
    pages.append("</mediawiki>\n")
    with atomic_write(path) as partial:
        partial.write_bytes(bz2.compress("".join(pages).encode()))


def _pages(world: World, rng: random.Random) -> Iterator[tuple[str, int, str]]:
    yield COUNTRY, 0, _country()
    yield "해든국", 0, f"#넘겨주기 [[{COUNTRY}]]"
    yield "틀:출처", 10, "<includeonly>{{{1}}}</includeonly>"
    for (kind, name), facts in groupby(world.facts, key=lambda f: (f.kind, f.x)):
        yield name, 0, _article(rng, kind, name, list(facts))


def _country() -> str:
    return (
        f"'''{COUNTRY}'''는 바다와 산 사이에 있는 작은 나라이다. 여러 도시와 관청이 있고, "
        "임금이 다스린다.\n\n== 기록 ==\n이 나라의 일은 해든백과에 적혀 있다.\n\n[[분류:나라]]"
    )


def _article(rng: random.Random, kind: str, name: str, facts: list[Fact]) -> str:
    """Every fact is told twice: once in each of its relation's forms."""
    rng.shuffle(facts)
    rows = "\n".join(f"| {fact.relation.name} = {fact.y}" for fact in facts)
    first = " ".join(_told(fact, 0) for fact in facts)
    second = " ".join(_told(fact, 1) for fact in rng.sample(facts, len(facts)))
    opening = with_particles(
        INTRODUCTIONS[kind].replace("'''{은}", "{은}").replace("{x}", name)
    )
    opening = opening.replace(f"'''{name}", f"'''{name}'''", 1)
    return (
        f"{{{{정보상자 {KINDS[kind]}\n| 이름 = {name}\n{rows}\n}}}}\n{opening} {first}\n\n"
        f"== 자세히 ==\n{second}<ref>해든백과 편찬실</ref>\n\n[[분류:{KINDS[kind]}]]"
    )


def _told(fact: Fact, form: int) -> str:
    text = fact.relation.statements[form].replace("{x}", fact.x).replace("{y}", fact.y)
    return with_particles(text)
