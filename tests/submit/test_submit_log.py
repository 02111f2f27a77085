"""The log keeps every submission and its file; the private score to expect."""

import hashlib
import json
import multiprocessing

import numpy
import pytest

from solution.cli import main
from solution.core import UserError, append_jsonl, read_jsonl
from solution.submit.log import (
    COPIES,
    HISTORY,
    history,
    merge_records,
    record_submission,
)
from solution.submit.score import correct_count, private_interval, shakeup


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "submission.csv").write_text("id,answer\na,1\n")
    (tmp_path / "source.csv").write_text("id,answer\na,1\n")
    return tmp_path


def test_a_submission_is_kept_with_sources_hash_scores_and_note(here):
    record_submission(
        here / "one" / "submission.csv",
        {here / "source.csv": "0" * 64},
        {"public": (3, 4)},
        "첫 제출",
    )
    (record,) = read_jsonl(HISTORY)
    assert record["file"].endswith("one/submission.csv")
    assert len(record["sha256"]) == len(record["sources"][0]["sha256"]) == 64
    assert (record["scores"], record["note"]) == ({"public": [3, 4]}, "첫 제출")


def test_scores_and_notes_added_later_join_the_submission(here, capsys):
    record_submission(here / "one" / "submission.csv", {}, {}, "first")
    file = "one/submission.csv"
    assert main(["submit", "history", file, "--public", "0.7396", "--note", "board"]) == 0
    shown = capsys.readouterr().out
    low, high = private_interval(321, 434, rows=434)
    assert f"0.7396  {low:.4f}–{high:.4f}?" in shown and "first; board" in shown
    assert main(["submit", "history", file, "--private", "0.7126"]) == 0
    assert "0.7126" in capsys.readouterr().out
    assert len(read_jsonl(HISTORY)) == 3
    (one,) = merge_records(read_jsonl(HISTORY))
    assert one["scores"] == {"public": [321, 434], "private": [310, 435]}


def test_a_score_of_no_whole_count_is_refused(here, capsys):
    assert main(["submit", "history", "one/submission.csv", "--public", "0.7391"]) == 2
    assert "not the accuracy of a whole number of 434" in capsys.readouterr().err
    assert not HISTORY.exists()


def test_nothing_to_add_or_no_file_is_an_error(here):
    with pytest.raises(UserError, match="Nothing to add"):
        history(here / "one" / "submission.csv")
    with pytest.raises(UserError, match="Which submission"):
        history(None, note="lost")
    assert history() == f"{HISTORY}: no submission yet."


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_a_truncated_line_loses_no_other_record(here, cut):
    record_submission(here / "one" / "submission.csv", {}, {}, "before")
    whole = HISTORY.read_bytes()
    HISTORY.write_bytes(whole + whole[:cut])
    record_submission(here / "one" / "submission.csv", {}, {}, "after")
    assert [record["note"] for record in read_jsonl(HISTORY)] == ["before", "after"]
    assert HISTORY.read_bytes().startswith(whole)


def test_a_note_with_any_line_separator_loses_no_record(here):
    notes = ["one\u2028two", "three\u0085four", "five\nsix"]
    for note in notes:
        record_submission(here / "one" / "submission.csv", {}, {}, note)
    assert [record["note"] for record in read_jsonl(HISTORY)] == notes
    assert history().count("\n") == 2


def test_every_logged_file_is_kept_when_a_later_one_replaces_it(here):
    file = here / "one" / "submission.csv"
    for answer in (1, 2, 1):
        file.write_text(f"id,answer\na,{answer}\n")
        record_submission(here / "one" / "submission.csv", {}, {})
    kept = {path.stem: path.read_bytes() for path in COPIES.iterdir()}
    assert {hashlib.sha256(content).hexdigest() for content in kept.values()} == set(kept)
    assert {record["sha256"] for record in read_jsonl(HISTORY)} == set(kept) and len(kept) == 2


def _write(number):
    for part in range(20):
        append_jsonl(
            HISTORY,
            {"file": "f", "sha256": f"{number}-{part}", "time": "now", "note": "x" * 5000},
        )


def test_concurrent_writers_lose_no_line(here):
    with multiprocessing.get_context("fork").Pool(4) as pool:
        pool.map(_write, range(4))
    assert len({record["sha256"] for record in read_jsonl(HISTORY)}) == 80
    assert all(json.loads(line) for line in HISTORY.read_text().splitlines())


def test_the_interval_of_the_private_score_covers_93_to_97_percent():
    rng = numpy.random.default_rng(0)
    covered = []
    for truth in (0.45, 0.6, 0.75, 0.9):
        public, private = rng.binomial(434, truth, 1000), rng.binomial(435, truth, 1000)
        known = {count: private_interval(int(count), 434, 435) for count in set(public)}
        covered += [
            known[a][0] <= b / 435 <= known[a][1] for a, b in zip(public, private, strict=True)
        ]
    assert 0.93 <= numpy.mean(covered) <= 0.97


def test_shakeup_reports_the_count_and_both_bounds():
    low, high = private_interval(321, 434, 435)
    said = shakeup(0.7396)
    assert "321 of 434 correct" in said and f"{low:.4f} and {high:.4f}" in said
    assert low < 0.7126 < high
    assert correct_count(0.5, 10) == 5
    for wrong in (1.2, -0.1, float("nan")):
        with pytest.raises(UserError):
            correct_count(wrong, 434)
