"""Killed at any moment, the same command goes on and ends as if nothing had happened."""

import contextlib
import csv
import json
import os
import signal
import sqlite3
import time

import psutil
import pytest
from pyarrow import parquet

FILES = ("config.yaml", "predictions.parquet")
UNTIMED = ("model", "accuracy", "ci_low", "ci_high", "public", "private", "macro_f1", "status")


@pytest.fixture(scope="module")
def suite(world):
    return world.suite("killed", ["a", "b"])


def leaderboard(out):
    with (out / "leaderboard.csv").open(encoding="utf-8", newline="") as stream:
        return [[row[name] for name in UNTIMED] for row in csv.DictReader(stream)]


def assert_what_is_seen_is_whole(out):
    """Every visible file can be read to its end, every visible folder is a finished run."""
    for path in out.glob("[!.]*"):
        if path.name == "harness":  # the results in lm-evaluation-harness's layout
            for file in path.rglob("[!.]*.json*"):
                assert file.read_text().endswith(("\n", "}"))
        elif path.is_dir():
            assert {"config.yaml", "metrics.json"} <= {inside.name for inside in path.iterdir()}
            assert parquet.read_table(path / "predictions.parquet").num_rows == 150
        elif path.name == "leaderboard.csv":
            assert [row[0] for row in sorted(leaderboard(out))] == ["a", "b"]
        else:
            assert path.name in {"leaderboard.md", "exam.csv", "solution.csv"}
            assert path.read_text().endswith("\n")


def stored(out):
    """The number of questions whose scores are in the cache."""
    try:
        with contextlib.closing(
            sqlite3.connect(f"file:{out}/.scores.sqlite?mode=ro", uri=True)
        ) as cache:
            return cache.execute("SELECT COUNT(*) FROM scores").fetchone()[0]
    except sqlite3.OperationalError:
        return 0


def wait_until(reached, process):
    while not reached() and process.poll() is None:
        time.sleep(0.02)


def kill_all(process):
    """The command, its workers and all: the power is cut."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def test_killed_again_and_again_it_ends_as_if_never_killed(world, suite, first):
    out = world.folder / "interrupted"
    for reached in (lambda: stored(out) >= 20, lambda: stored(out) >= 230):
        process = world.start(suite, out)
        wait_until(reached, process)
        kill_all(process)
        if out.exists():
            assert_what_is_seen_is_whole(out)
    kept = stored(out)
    done = world.run(suite, out)
    assert done.status == 0, done.stderr
    assert_what_is_seen_is_whole(out)
    same = [row for row in leaderboard(first.out) if row[0] in ("a", "b")]
    assert leaderboard(out) == same
    for name in ("a", "b"):
        for file in FILES:
            whole = (first.out / name / file).read_bytes()
            assert (out / name / file).read_bytes() == whole, f"{name}/{file}"
    metrics = json.loads((out / "b" / "metrics.json").read_text())
    whole = json.loads((first.out / "b" / "metrics.json").read_text())
    assert kept >= 230 and metrics["tokens_computed"] < whole["tokens_computed"]
    assert not list(out.glob(".*.work"))


def test_a_worker_ends_when_the_command_is_gone(world, suite):
    process = world.start(suite, world.folder / "orphan")
    worker = None
    while process.poll() is None and worker is None:
        worker = next(iter(psutil.Process(process.pid).children()), None)
        time.sleep(0.01)
    time.sleep(1.0)  # it reads its job first
    process.kill()
    process.communicate()
    assert worker.wait(timeout=600) is None or not worker.is_running()


def test_a_second_command_does_not_disturb_the_first(world, suite, first):
    import fcntl

    with (first.out / ".lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        done = world.run(suite, first.out)
    assert done.status == 2 and "another explore is running" in done.stderr
