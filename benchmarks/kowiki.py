"""Dump to passages: speed and peak memory.

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
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("extract", type=Path)
    parser.add_argument("--megabytes", nargs="+", type=int, default=[100, 500])
    options = parser.parse_args()
    rng = random.Random(0)
    with gzip.open(options.extract, "rt", encoding="utf-8") as stream:
        rows = [json.loads(line) for _, line in zip(range(6000), stream, strict=False)]
    plain = [(row["title"], wikitext(row["title"], row["text"], rng)) for row in rows]
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


if __name__ == "__main__":
    main()
