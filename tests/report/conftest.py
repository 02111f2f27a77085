"""Benches of made-up runs, a report of some, and the browser that opens it."""

from pathlib import Path

import pytest
from made_runs import Bench, questions_of


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
