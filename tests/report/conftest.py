"""Benches of made-up runs, a report of some, and the browser that opens it."""

import shutil
from pathlib import Path

import pytest
from made_runs import Bench, questions_of

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture
def bench(tmp_path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture(scope="session")
def study(tmp_path_factory) -> Path:
    """A report of three models and one fine-tuning on 120 questions."""
    from solution.report import report

    bench = Bench(tmp_path_factory.mktemp("study"))
    questions = questions_of(120)
    skills = {"small": 0.35, "middle": 0.5, "middle-wiki": 0.52, "hub/large": 0.8}
    bench.explored(questions, skills)
    bench.tuned(questions, 0.9, "hub/large")
    page = bench.root / "report.html"
    report([bench.root / "explore", bench.root / "finetune"], page, 32.0)
    return page


@pytest.fixture(scope="session")
def browser():
    """The distribution's Chromium; tests skip where there is none."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if found is None:
        pytest.skip("no Chromium on this machine (apt-get install chromium)")
    with api.sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=found, args=QUIET)
        yield chromium
        chromium.close()
