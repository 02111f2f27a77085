"""Runs in the terminal: listed, compared, and their wrong answers."""

import csv

import pytest
from made_runs import questions_of

from solution.cli import main
from solution.core import UserError
from solution.explore import mcnemar
from solution.report import compare_runs, list_errors, list_runs
from solution.report.runs import read_run


@pytest.fixture
def runs(bench, monkeypatch):
    """Two candidates on the same questions, in runs/ of the current folder."""
    bench.root = bench.root / "runs"
    bench.suite = bench.root / "explore" / "made"
    questions = questions_of(60)
    bench.explored(questions, {"weak": 0.3, "strong": 0.9})
    monkeypatch.chdir(bench.root.parent)
    return bench


def cells(text, first):
    """The cells of the table row that begins with `first`."""
    return next(line.split() for line in text.splitlines() if line.split()[:1] == [first])


def test_two_runs_are_compared_by_question_subject_and_half(runs, tmp_path):
    file = tmp_path / "pairs.csv"
    said = compare_runs("made/strong", "made/weak", file)
    strong, weak = (read_run(runs.suite / name) for name in ("strong", "weak"))
    pairs = list(zip(strong.correct, weak.correct, strict=True))
    gained, lost = pairs.count((True, False)), pairs.count((False, True))
    row = cells(said, "all")
    assert row[1] == "60" and row[-3:-1] == [str(gained), str(lost)]
    assert row[-1] == f"{mcnemar(strong.correct, weak.correct):.3f}"
    assert float(row[4]) == pytest.approx((gained - lost) / 60, abs=1e-4)
    parts = [int(cells(said, name)[1]) for name in ("국어", "사회", "public", "private")]
    assert sum(parts[:2]) == sum(parts[2:]) == 60
    with file.open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [one["id"] for one in rows] == [q.id for q in strong.questions]
    outcomes = [one["outcome"] for one in rows]
    assert (outcomes.count("gained"), outcomes.count("lost")) == (gained, lost)
    again = cells(compare_runs("weak", "strong"), "all")
    assert again[-3:-1] == [str(lost), str(gained)] and again[-1] == row[-1]


def test_errors_come_with_the_most_confident_first(runs, tmp_path):
    file = tmp_path / "deep" / "wrong.csv"
    said = list_errors("made/weak", file, limit=5)
    weak = read_run(runs.suite / "weak")
    assert f"{weak.correct.count(False)} of 60 answers are wrong" in said
    assert len([line for line in said.splitlines() if line.startswith("made-")]) == 5
    with file.open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == weak.correct.count(False)
    margins = [float(one["margin"]) for one in rows]
    assert margins == sorted(margins, reverse=True)
    assert all(one["right"] != one["answer"] for one in rows)


def test_runs_are_listed_with_what_can_be_removed(runs):
    old = runs.suite / "weak.0123abcd"
    (runs.suite / "weak").rename(old)
    (runs.suite / ".other.0123abcd.work").mkdir()
    said = list_runs(runs.root)
    strong = read_run(runs.suite / "strong")
    assert cells(said, str(runs.suite / "strong"))[2] == f"{sum(strong.correct) / 60:.4f}"
    assert "superseded: can be removed" in next(
        line for line in said.splitlines() if str(old) in line
    )
    assert "interrupted" in next(line for line in said.splitlines() if ".work" in line)


def test_a_name_that_fits_none_or_several_lists_the_runs(runs):
    with pytest.raises(UserError, match="no such run") as error:
        compare_runs("made/none", "weak")
    assert "made/strong" in str(error.value)
    other = runs.root / "explore" / "second"
    other.mkdir()
    for name in ("exam.csv", "solution.csv"):
        (other / name).write_bytes((runs.suite / name).read_bytes())
    (other / "weak").mkdir()
    for path in (runs.suite / "weak").iterdir():
        (other / "weak" / path.name).write_bytes(path.read_bytes())
    with pytest.raises(UserError, match="several runs match"):
        list_errors("weak")


def test_runs_on_different_questions_are_refused(runs, capsys):
    runs.suite = runs.root / "explore" / "other"
    runs.explored(questions_of(40, seed=1), {"weak": 0.4})
    assert main(["compare", "other/weak", "made/weak"]) == 2
    assert "different questions" in capsys.readouterr().err
    assert main(["errors", "made/weak", "--limit", "2"]) == 0
    assert main(["runs"]) == 0 and "other/weak" in capsys.readouterr().out
