"""Progress is a bar on a terminal and plain lines elsewhere; tables align Korean text."""

import io
import time

from solution.core import Progress, aligned, log, markdown, progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_shows_a_bar_with_the_time_left(monkeypatch):
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    bar = Progress("train", 3, "steps")
    for _ in range(3):
        bar.advance(1, "loss 0.5")
    assert "\rtrain:" in stream.getvalue()
    assert "3/3" in stream.getvalue()
    assert "loss 0.5" in stream.getvalue()


def test_elsewhere_it_prints_plain_lines_with_an_estimate(monkeypatch, capsys):
    monkeypatch.setattr(progress, "FIRST_LINE", 0.0)
    bar = Progress("train", 10, "steps")
    time.sleep(0.01)
    bar.advance(5)
    bar.advance(5)
    printed = capsys.readouterr().err.splitlines()
    first, last = [line for line in printed if line.startswith("train: ")]
    assert first.startswith("train: 5/10 steps, ")
    assert first.endswith(" left")
    assert last.startswith("train: 10/10 steps, ")
    assert bar.done == 10


def test_quick_work_prints_no_lines(capsys):
    Progress("train", 2, "steps").advance(2)
    assert capsys.readouterr().err == ""


def test_a_slow_first_unit_is_shown_before_it_ends(monkeypatch, capsys):
    monkeypatch.setattr(progress, "FIRST_UNIT", 0.05)
    bar = Progress("train", 2, "steps")
    bar._timer.join()
    assert capsys.readouterr().err.startswith("train: 0/2 steps")


def test_a_note_clears_the_bar_of_a_terminal(monkeypatch, capsys):
    log("plain")
    assert capsys.readouterr().err == "plain\n"
    monkeypatch.setattr("sys.stderr", Terminal())
    log("note")
    assert progress.sys.stderr.getvalue() == "\r\x1b[Jnote\n"


def test_tables_align_wide_letters():
    table = aligned(["이름", "n", ""], [["가나다", "1", "x"], ["ab", "10", "y"]])
    assert table.splitlines()[2:] == ["가나다   1  x", "ab      10  y"]
    assert markdown(["a", "n", ""], [["x|y", "1", ""]]).splitlines()[1:] == [
        "|:--|--:|:--|",
        "| x\\|y | 1 |  |",
    ]
