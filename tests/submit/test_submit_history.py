"""The history keeps every submission, whatever a crash leaves; what the board will say next."""

import json
import multiprocessing

import numpy
import pytest

from solution.cli import main
from solution.core import UserError
from solution.submit.history import HISTORY, append, history, merged, read_history, remember
from solution.submit.shakeup import private_interval, right_answers, shakeup


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "submission.csv").write_text("id,answer\na,1\n")
    (tmp_path / "source.csv").write_text("id,answer\na,1\n")
    return tmp_path


def test_a_submission_is_kept_with_sources_hash_scores_and_note(here):
    remember(here / "one", [here / "source.csv"], {"public": (3, 4)}, "첫 제출")
    (record,) = read_history()
    assert record["file"].endswith("one/submission.csv")
    assert len(record["sha256"]) == len(record["sources"][0]["sha256"]) == 64
    assert (record["scores"], record["note"]) == ({"public": [3, 4]}, "첫 제출")


def test_scores_and_notes_told_later_join_the_submission(here, capsys):
    remember(here / "one", [here / "source.csv"], {}, "first")
    file = "one/submission.csv"
    assert main(["submit", "history", file, "--public", "0.7396", "--note", "board"]) == 0
    shown = capsys.readouterr().out
    low, high = private_interval(321, 434, rows=434)
    assert f"0.7396  {low:.4f}–{high:.4f}?" in shown and "first; board" in shown
    assert main(["submit", "history", file, "--private", "0.7126"]) == 0
    assert "0.7126" in capsys.readouterr().out
    assert len(read_history()) == 3
    (one,) = merged(read_history())
    assert one["scores"] == {"public": [321, 434], "private": [310, 435]}


def test_a_score_that_no_count_gives_is_refused(here, capsys):
    assert main(["submit", "history", "one/submission.csv", "--public", "0.7391"]) == 2
    assert "not the accuracy of a whole number of 434" in capsys.readouterr().err
    assert not HISTORY.exists()


def test_nothing_to_add_or_no_file_is_told(here):
    with pytest.raises(UserError, match="Nothing to add"):
        history(here / "one" / "submission.csv")
    with pytest.raises(UserError, match="Which submission"):
        history(None, note="lost")
    assert history() == f"{HISTORY}: no submission yet."


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_a_half_written_line_loses_itself_only(here, capsys, cut):
    remember(here / "one", [], {}, "before")
    whole = HISTORY.read_bytes()
    HISTORY.write_bytes(whole + whole[:cut])
    remember(here / "one", [], {}, "after")
    assert [record["note"] for record in read_history()] == ["before", "after"]
    assert "line 2 is not whole" in capsys.readouterr().err
    assert HISTORY.read_bytes().startswith(whole)


def _write(number):
    for part in range(20):
        append({"file": "f", "sha256": f"{number}-{part}", "time": "now", "note": "x" * 5000})


def test_many_writers_at_once_lose_no_line(here):
    with multiprocessing.get_context("fork").Pool(4) as pool:
        pool.map(_write, range(4))
    assert len({record["sha256"] for record in read_history()}) == 80
    assert all(json.loads(line) for line in HISTORY.read_text().splitlines())


def test_the_interval_of_the_private_score_covers_it_in_95_of_100_cases():
    rng = numpy.random.default_rng(0)
    covered = []
    for truth in (0.45, 0.6, 0.75, 0.9):
        public, private = rng.binomial(434, truth, 1000), rng.binomial(435, truth, 1000)
        known = {count: private_interval(int(count), 434, 435) for count in set(public)}
        covered += [
            known[a][0] <= b / 435 <= known[a][1] for a, b in zip(public, private, strict=True)
        ]
    assert 0.93 <= numpy.mean(covered) <= 0.97


def test_shakeup_speaks_of_the_count_and_both_bounds():
    low, high = private_interval(321, 434, 435)
    said = shakeup(0.7396)
    assert "321 of 434" in said and f"{low:.4f} and {high:.4f}" in said
    assert low < 0.7126 < high
    assert right_answers(0.5, 10) == 5
    for wrong in (1.2, -0.1, float("nan")):
        with pytest.raises(UserError):
            right_answers(wrong, 434)
