"""Live progress: what a line says of a running candidate, and where it goes."""

import io
import json
import re
import signal
import time
from pathlib import Path

import pytest

from solution.explore.key import Key
from solution.explore.live import Live
from solution.explore.statistics import clustered_interval


@pytest.fixture
def key():
    from solution.exam import Question

    questions = tuple(Question(f"q{i}", "", "?", ("a", "b"), 1 + i % 2) for i in range(10))
    return Key(
        Path("exam.csv"),
        questions,
        [1 + i % 2 for i in range(10)],
        ["Public"] * 10,
        list(range(10)),
    )


def part(folder, number, ids, answer, seconds):
    folder.mkdir(parents=True, exist_ok=True)
    rows = [{"id": f"q{i}", "answer": answer} for i in ids]
    text = json.dumps({"seconds": seconds, "scored": rows})
    (folder / f"{number:05d}.json").write_text(text)


def test_a_line_says_speed_accuracy_with_interval_and_time_left(key, tmp_path):
    live = Live(key)
    with live.running("tiny", tmp_path / "work", 10):
        assert live.lines() == [], "not begun: no line"
        part(tmp_path / "work" / "parts", 0, range(4), 1, seconds=2.0)
        low, high = clustered_interval([1.0, 0.0, 1.0, 0.0], range(4))
        assert live.lines() == [
            "tiny: 4/10 questions, 2.0 questions/s, accuracy so far 0.500 "
            f"({low:.3f}–{high:.3f}), 3 s left"
        ]
        part(tmp_path / "work" / "parts", 1, range(4, 9), 1, seconds=1.0)
        assert live.lines()[0].startswith(
            "tiny: 9/10 questions, 3.0 questions/s, accuracy so far 0.556"
        )
    assert live.lines() == []


def test_each_running_candidate_has_a_line(key, tmp_path):
    live = Live(key)
    (tmp_path / "one" / "parts").mkdir(parents=True)
    part(tmp_path / "two" / "parts", 0, [0], 1, seconds=1.0)
    with live.running("one", tmp_path / "one", 10), live.running("two", tmp_path / "two", 10):
        one, two = live.lines()
    assert one == "one: 0/10 questions" and two.startswith("two: 1/10")


def stderr(monkeypatch) -> io.StringIO:
    """What is said from here on; capsys could lose what a thread writes while it is read."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    return stream


def test_lines_are_plain_where_there_is_no_terminal(key, tmp_path, monkeypatch):
    told = stderr(monkeypatch).getvalue
    monkeypatch.setattr("solution.explore.live.PLAIN_SECONDS", 0.01)
    part(tmp_path / "work" / "parts", 0, range(4), 1, seconds=2.0)
    live = Live(key)
    with live.shown(), live.running("tiny", tmp_path / "work", 10):
        while "tiny" not in told():
            time.sleep(0.01)
    assert re.match(r"tiny: 4/10 questions, [^\r\x1b]*\n", told()) and "\x1b" not in told()


def test_on_a_terminal_the_lines_move_and_are_wiped(key, tmp_path, monkeypatch):
    told = stderr(monkeypatch).getvalue
    live = Live(key)
    live._terminal = True
    monkeypatch.setattr("solution.explore.live.TERMINAL_SECONDS", 0.01)
    part(tmp_path / "one" / "parts", 0, range(4), 1, seconds=2.0)
    part(tmp_path / "two" / "parts", 0, range(4), 2, seconds=2.0)
    one, two = (live.running(name, tmp_path / name, 10) for name in ("one", "two"))
    with live.shown(), one, two:
        while "two" not in told():
            time.sleep(0.01)
    assert re.search(r"\r\x1b\[Jone: [^\n]*\ntwo: [^\n]*\x1b\[1A\r", told())
    assert told().endswith("\r\x1b[J")


def test_ctrl_c_says_how_to_go_on_and_the_same_command_does(world, tmp_path):
    suite, out = world.suite("stop", ["a", "b"]), tmp_path / "out"
    process = world.start(suite, out)
    while not list(out.glob("a/config.yaml")):
        assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=300)
    if process.returncode == 0:
        pytest.skip("it was finished before the signal came")
    assert process.returncode == 130
    assert f"./run.sh explore --suite={suite} --out={out}" in told
    again = world.run(suite, out)
    assert again.status == 0 and "a: nothing has changed" in again.stderr
