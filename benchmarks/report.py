"""Report of 10 models on 2,000 questions: its size, and the time until it can be used.

    python benchmarks/report.py [--models 10] [--questions 2000] [--runs 5]
    python benchmarks/report.py --picture docs/report.png RUN ...

Needs playwright and the distribution's Chromium. The runs are synthetic (as in the tests) with
passages of 180 words; each opening is a new browser context, from the call that opens the file
until the page has drawn its tables and plots and has applied a filter. Prints a table.
"""

from __future__ import annotations

import argparse
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from solution.report import report

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "report"))
from made_runs import Bench, questions_of

QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
WORDS = 180
WIDTH = 1440  # of the picture; tests check that no chart label overlaps at this width


def make(folder: Path, models: int, questions: int) -> tuple[Path, float]:
    """The page of synthetic runs, and the seconds that `report` took."""
    asked = questions_of(questions, words=WORDS)
    Bench(folder).explored(asked, {f"model-{n}": 0.3 + n / 20 for n in range(models)})
    file = folder / "report.html"
    start = time.perf_counter()
    report([folder], file, 32.0)
    return file, time.perf_counter() - start


def opening(browser: Any, file: Path) -> tuple[float, float]:
    """Seconds from opening the file until it is set up, and until a filter has answered."""
    context = browser.new_context(locale="en-US")
    page = context.new_page()
    start = time.perf_counter()
    page.goto(file.as_uri())
    page.wait_for_selector("html[data-ready]")
    ready = time.perf_counter() - start
    page.locator("select[name=outcome]").select_option(label="models disagree")
    assert int(page.inner_text(".count").split()[0]) > 0
    answered = time.perf_counter() - start
    context.close()
    return ready, answered


def picture(runs: Sequence[Path], out: Path) -> None:
    """Write the top of the report of these runs, down to the plots, as a PNG."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        file = Path(folder) / "report.html"
        report(runs, file, 32.0)
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=QUIET)
        page = browser.new_page(locale="en-US", viewport={"width": WIDTH, "height": 900})
        page.goto(file.as_uri())
        page.wait_for_selector("html[data-ready]")
        box = page.locator("#plots .figures").bounding_box()
        assert box is not None, "the plots are visible"
        height = box["y"] + box["height"] + 8
        page.set_viewport_size({"width": WIDTH, "height": int(height)})
        page.screenshot(path=out)
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", type=int, default=10)
    parser.add_argument("--questions", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--picture", type=Path, help="PNG to write of the report of RUN ...")
    parser.add_argument("run", type=Path, nargs="*", help="run folders for --picture")
    options = parser.parse_args()
    if options.picture:
        picture(options.run, options.picture)
        return
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        file, seconds = make(Path(folder), options.models, options.questions)
        browser = play.chromium.launch(executable_path=chromium, args=QUIET)
        opening(browser, file)  # the browser's own start is not the page's
        times = [opening(browser, file) for _ in range(options.runs)]
        size, version = file.stat().st_size / 2**20, browser.version
        browser.close()
    ready, answered = (sorted(column) for column in zip(*times, strict=True))
    print(
        f"{options.models} models, {options.questions} questions, Chromium {version}, ", end=""
    )
    print(f"{platform.machine()}, median of {options.runs} (least to most)\n")
    print("| | figure |\n|---|--:|")
    print(f"| file, MiB | {size:.2f} |")
    print(f"| `report`, s | {seconds:.1f} |")
    for name, own in (("set up", ready), ("set up and a filter answered", answered)):
        middle = statistics.median(own)
        print(f"| {name}, s | {middle:.2f} ({own[0]:.2f} to {own[-1]:.2f}) |")


if __name__ == "__main__":
    main()
