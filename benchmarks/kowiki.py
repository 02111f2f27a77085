"""Cleaning and building: speed, memory and fidelity beside mwparserfromhell, in one run.

    python benchmarks/kowiki.py EXTRACT.jsonl.gz [--megabytes 100 500]

EXTRACT holds real articles as JSON lines (id, title, text). They are put into wikitext (links,
templates, tables, references, headings, pictures) and repeated with other numbers and ids until
the dump has the size asked for. Prints tables in Markdown.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from solution.kowiki.clean import clean_by_parser, clean_by_rules

HEAD = (
    '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" xml:lang="ko">\n'
    "  <siteinfo>\n    <base>https://ko.wikipedia.org/wiki/</base>\n    <namespaces>\n"
    '      <namespace key="0" case="first-letter" />\n'
    '      <namespace key="10" case="first-letter">틀</namespace>\n'
    "    </namespaces>\n  </siteinfo>\n"
)
PAGE = (
    "  <page>\n    <title>{title}</title>\n    <ns>0</ns>\n    <id>{id}</id>\n    <revision>\n"
    "      <id>{id}</id>\n      <timestamp>2026-01-01T00:00:00Z</timestamp>\n"
    '      <text bytes="{size}" xml:space="preserve">{text}</text>\n    </revision>\n'
    "  </page>\n"
)
CHILD = (
    "import json,resource,sys,time\nfrom pathlib import Path\n"
    "from solution.kowiki import build\n"
    "s,c=time.perf_counter(),time.process_time()\n"
    "build(sys.argv[1],Path(sys.argv[2]),workers=1)\n"
    "print(json.dumps([time.perf_counter()-s,time.process_time()-c,"
    "resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1024]))"
)


def wikitext(title: str, text: str, rng: random.Random) -> str:
    """A real article's text with the markup that articles have."""
    lines = []
    for number, line in enumerate(text.split("\n")):
        words = [link(word, rng) for word in line.split(" ")]
        if len(words) > 8 and rng.random() < 0.5:
            words.append(
                f"<ref>{{{{웹 인용|제목={title}|url=http://example.org/{number}}}}}</ref>"
            )
        if number % 8 == 7:
            lines.append(f"== {rng.choice(['역사', '생애', '특징', '문화'])} ==")
        if rng.random() < 0.03:
            lines.append(f"[[파일:{title}.jpg|섬네일|[[{title}]]의 모습]]")
        lines.append(" ".join(words))
    table = '{| class="wikitable"\n! 해 !! 일\n|-\n| 1900 || {{국기|한국}}\n|}'
    box = f"{{{{정보상자\n| 이름 = {title}\n| 그림 = {{{{지도|{title}}}}}\n}}}}"
    end = "== 같이 보기 ==\n* [[다른 문서]]\n== 각주 ==\n{{각주}}\n[[분류:문서]]"
    return "\n".join([box, f"'''{title}'''", *lines, table, end])


def link(word: str, rng: random.Random) -> str:
    draw = rng.random()
    if len(word) < 2 or draw > 0.12 or not word.isalnum():
        return word
    if draw < 0.06:
        return f"[[{word}]]"
    return f"[[{word} (문서)|{word}]]" if draw < 0.1 else f"'''{word}'''"


def write_dump(pages: Sequence[tuple[str, str]], megabytes: int, path: Path) -> None:
    """Repeat the pages until the file is large enough, each round with other digits."""
    written = rounds = number = 0
    with path.open("w", encoding="utf-8") as stream:
        stream.write(HEAD)
        while written < megabytes * 1_000_000:
            digits = str.maketrans(
                "0123456789", "".join(str((d + rounds) % 10) for d in range(10))
            )
            for title, text in pages:
                number += 1
                varied = text.translate(digits)
                page = PAGE.format(title=escape(title), id=number, size=len(text), text=varied)
                written += len(page.encode())
                stream.write(page)
                if written >= megabytes * 1_000_000:
                    break
            rounds += 1
        stream.write("</mediawiki>\n")


def f1(ours: str, theirs: str, size: int) -> float:
    """Of the multisets of `size` neighbouring characters, blanks apart."""
    ours, theirs = "".join(ours.split()), "".join(theirs.split())
    a = Counter(ours[i : i + size] for i in range(len(ours) - size + 1))
    b = Counter(theirs[i : i + size] for i in range(len(theirs) - size + 1))
    return 2 * (a & b).total() / max(a.total() + b.total(), 1)


def timed(name: str, texts: Sequence[str], function: Callable[[str], object]) -> list[object]:
    start = time.process_time()
    results = [function(text) for text in texts]
    seconds = time.process_time() - start
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    print(
        f"| {name} | {megabytes:.1f} | {seconds:.2f} | {megabytes / seconds:.1f} |", flush=True
    )
    return results


def cleaners(texts: Sequence[str]) -> None:
    print(
        f"\nCleaners on {len(texts)} pages\n\n"
        "| cleaner | MB | CPU s | MB/s |\n|---|--:|--:|--:|"
    )
    ours = [str(text) for text, _ in timed("rules", texts, clean_by_rules)]  # type: ignore[misc, has-type]
    theirs = [str(text) for text in timed("mwparserfromhell", texts, clean_by_parser)]
    pairs = list(zip(ours, theirs, strict=True))
    for size in (1, 3):
        values = sorted(f1(a, b, size) for a, b in pairs)
        print(
            f"\nF1 of {size}-character sequences with mwparserfromhell: mean "
            f"{sum(values) / len(values):.4f}, lowest {values[0]:.4f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("extract", type=Path)
    parser.add_argument("--megabytes", nargs="+", type=int, default=[100, 500])
    parser.add_argument("--wikiextractor", type=Path, help="a Python that has it installed")
    parser.add_argument("--pages", type=int, default=300, help="for the cleaners")
    options = parser.parse_args()
    rng = random.Random(0)
    with gzip.open(options.extract, "rt", encoding="utf-8") as stream:
        rows = [json.loads(line) for _, line in zip(range(6000), stream, strict=False)]
    plain = [(row["title"], wikitext(row["title"], row["text"], rng)) for row in rows]
    cleaners([text for _, text in rng.sample(plain, options.pages)])
    pages = [(title, escape(text, {'"': "&quot;"})) for title, text in plain]
    print("\nDump to passages, one process\n")
    print("| XML MB | wall s | CPU s | MB/s of CPU | peak MiB |\n|--:|--:|--:|--:|--:|")
    for megabytes in options.megabytes:
        with tempfile.TemporaryDirectory() as folder:
            dump = Path(folder) / "dump.xml"
            write_dump(pages, megabytes, dump)
            done = subprocess.run(
                [sys.executable, "-c", CHILD, str(dump), f"{folder}/out"],
                check=True, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            wall, cpu, peak = json.loads(done.stdout)
            print(
                f"| {megabytes} | {wall:.1f} | {cpu:.1f} | {megabytes / cpu:.1f} "
                f"| {peak:.0f} |",
                flush=True,
            )
            if options.wikiextractor and megabytes == options.megabytes[0]:
                extractor(options.wikiextractor, dump, Path(folder) / "extracted")


def extractor(python: Path, dump: Path, out: Path) -> None:
    """WikiExtractor on the same dump: one worker, templates off, its fastest way."""
    options = ["--processes", "1", "--no-templates", "--json", "--quiet", "-o", str(out)]
    command = [str(python), "-m", "wikiextractor.WikiExtractor", *options, str(dump)]
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    wall = time.perf_counter() - start
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = sum(1 for file in out.rglob("wiki_*") for _ in file.open("rb"))
    print(
        f"\nWikiExtractor (no templates, 1 worker) on the {dump.stat().st_size / 1e6:.0f} MB: "
        f"{wall:.1f} s wall, {found} articles; its most memory in one process "
        f"{children.ru_maxrss / 1024:.0f} MiB\n",
        flush=True,
    )


if __name__ == "__main__":
    main()
