"""Run folders are complete or absent, and found again by their inputs."""

import json

import pytest
import yaml

from solution.core import UserError, find_run, open_run


def finish(directory, inputs):
    run = open_run(directory, inputs)
    (run.work / "result.txt").write_text(str(inputs))
    run.finalize({"accuracy": 0.5})
    return run


def test_a_finished_run_is_reused(tmp_path):
    run = finish(tmp_path / "a", {"seed": 1})
    again = open_run(tmp_path / "a", {"seed": 1})
    assert again.finished
    assert not again.work.exists()
    assert json.loads((run.directory / "metrics.json").read_text()) == {"accuracy": 0.5}
    assert yaml.safe_load((run.directory / "config.yaml").read_text())["seed"] == 1
    assert json.loads((run.directory / "environment.json").read_text())["packages"]


def test_an_unfinished_run_is_absent_and_keeps_its_work(tmp_path):
    run = open_run(tmp_path / "a", {"seed": 1})
    (run.work / "part").touch()
    assert not find_run(tmp_path / "a", {"seed": 1}).finished
    assert (open_run(tmp_path / "a", {"seed": 1}).work / "part").exists()


def test_other_inputs_set_the_old_run_aside_and_find_it_again(tmp_path):
    finish(tmp_path / "a", {"seed": 1})
    finish(tmp_path / "a", {"seed": 2})
    assert (tmp_path / "a" / "result.txt").read_text() == "{'seed': 2}"
    assert open_run(tmp_path / "a", {"seed": 1}).finished
    assert (tmp_path / "a" / "result.txt").read_text() == "{'seed': 1}"


def test_a_run_killed_before_the_rename_is_finished_by_the_next(tmp_path):
    run = finish(tmp_path / "a", {"seed": 1})
    run.directory.rename(run.work)
    assert open_run(tmp_path / "a", {"seed": 1}).finished


def test_a_folder_that_is_not_a_run_is_never_replaced(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "mine.txt").touch()
    with pytest.raises(UserError, match="not a run folder"):
        finish(tmp_path / "a", {"seed": 1})
    assert (tmp_path / "a" / "mine.txt").exists()
