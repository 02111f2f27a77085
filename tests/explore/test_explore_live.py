"""Live progress: the line of a running candidate, and where it is shown."""

import io
import re
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from solution.core import write_json
from solution.exam import Question
from solution.explore.job import PROGRESS
from solution.explore.live_progress import LiveProgress, ProgressFile
from solution.explore.metrics import ExamKey
from solution.explore.statistics import clustered_interval
from solution.scoring import ChoiceScores


@pytest.fixture
def live():
    questions = tuple(Question(f"q{i}", "", "?", ("a", "b"), 1 + i % 2) for i in range(10))
    answers = [1 + i % 2 for i in range(10)]
    key = ExamKey(Path("exam.csv"), questions, answers, ["Public"] * 10, list(range(10)))
    return LiveProgress({"exam": key})


def job(name, work, *cells):
    """A job and its runs, as far as progress is concerned."""
    named = [SimpleNamespace(name=cell) for cell in cells or ["exam"]]
    runs = [SimpleNamespace(work=work / cell.name) for cell in named]
    return SimpleNamespace(name=name, cells=named), runs


def progress(work, ids, answer, seconds):
    value = {"done": len(ids), "total": 10, "seconds": seconds}
    answers = {f"q{i}": answer for i in ids}
    write_json(work / PROGRESS, value | {"answers": answers})


def test_a_line_has_speed_accuracy_with_interval_and_time_left(live, tmp_path):
    with live.running(*job("tiny", tmp_path)):
        assert live.lines() == [], "not started: no line"
        progress(tmp_path / "exam", range(4), 1, seconds=2.0)
        low, high = clustered_interval([1.0, 0.0, 1.0, 0.0], range(4))
        assert live.lines() == [
            "tiny: 4/10 questions, 2.0 questions/s, accuracy so far 0.500 "
            f"({low:.3f}–{high:.3f}), 3 s left"
        ]
    assert live.lines() == []


def test_each_running_candidate_has_a_line_and_a_task_counts_requests(live, tmp_path):
    progress(tmp_path / "one" / "exam", range(3), 1, seconds=1.0)
    value = {"done": 5, "total": 20, "seconds": 1.0, "answers": {}}
    write_json(tmp_path / "two" / "copa" / PROGRESS, value)
    with (
        live.running(*job("one", tmp_path / "one")),
        live.running(*job("two", tmp_path / "two", "exam", "copa")),
    ):
        one, two = live.lines()
    assert one.startswith("one: 3/10")
    assert two == "two: copa: 5/20 requests, 5.0 requests/s, 3 s left"


def test_a_workers_file_holds_the_first_answer_of_each_question(tmp_path, monkeypatch, live):
    monkeypatch.setattr("solution.explore.live_progress.WRITE_SECONDS", 0.0)
    file = ProgressFile(tmp_path / "exam", 10)
    for answer in (1, 2):
        file.add([ChoiceScores("q0", (0.0, 0.0), (0.5, 0.5), answer, 0.0)])
    with live.running(*job("tiny", tmp_path)):
        assert "1/10 questions" in live.lines()[0] and "so far 1.000" in live.lines()[0]
        file.remove()
        assert live.lines() == []


def stderr(monkeypatch) -> io.StringIO:
    """Stderr from here on; capsys could lose what a thread writes while it is read."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    return stream


def test_lines_are_plain_where_there_is_no_terminal(live, tmp_path, monkeypatch):
    told = stderr(monkeypatch).getvalue
    monkeypatch.setattr("solution.explore.live_progress.PLAIN_SECONDS", 0.01)
    progress(tmp_path / "exam", range(4), 1, seconds=2.0)
    with live.shown(), live.running(*job("tiny", tmp_path)):
        while "tiny" not in told():
            time.sleep(0.01)
    assert re.match(r"tiny: 4/10 questions, [^\r\x1b]*\n", told()) and "\x1b" not in told()


def test_on_a_terminal_the_lines_move_and_are_wiped(live, tmp_path, monkeypatch):
    told = stderr(monkeypatch).getvalue
    live._terminal = True
    monkeypatch.setattr("solution.explore.live_progress.TERMINAL_SECONDS", 0.01)
    for name in ("one", "two"):
        progress(tmp_path / name / "exam", range(4), 1, seconds=2.0)
    one, two = (live.running(*job(name, tmp_path / name)) for name in ("one", "two"))
    with live.shown(), one, two:
        while "two" not in told():
            time.sleep(0.01)
    assert re.search(r"\r\x1b\[Jone: [^\n]*\ntwo: [^\n]*\x1b\[1A\r", told())
    assert told().endswith("\r\x1b[J")


def test_ctrl_c_prints_how_to_resume_and_the_same_command_does(world, tmp_path):
    suite, out = world.suite("stop", ["a", "b"]), tmp_path / "out"
    process = world.start(suite, out)
    while not list(out.glob("a/config.yaml")):
        assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=3000)
    if process.returncode == 0:
        pytest.skip("it was finished before the signal came")
    assert process.returncode == 130
    assert f"./run.sh explore --suite={suite} --out={out}" in told
    again = world.run(suite, out)
    assert again.status == 0 and "a: nothing has changed" in again.stderr
