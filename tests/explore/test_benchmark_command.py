"""`explore` on suites of tasks with the embedded models: tables, reuse, what is refused."""

import contextlib
import csv
import io
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from solution.cli import main

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scoring"))
from benchmark_files import write_kobest, write_questions

TASKS = [
    {"task": "kobest_copa", "title": "COPA", "shots": [0, 2], "figure": "macro_f1"},
    {"task": "kobest_sentineg", "title": "SentiNeg", "shots": [0, 2], "figure": "macro_f1"},
]


def run(*arguments):
    stdout, stderr = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
            status = main(["explore", *map(str, arguments)])
    return SimpleNamespace(status=status, out=stdout.getvalue(), err=stderr.getvalue())


def write_suite(path, candidates, **changes):
    value = {"name": "mine", "family": "polyglot", "tasks": TASKS, "candidates": candidates}
    path.write_text(yaml.safe_dump(value | changes, allow_unicode=True))
    return path


def lines_of(folder):
    with (folder / "results.csv").open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def world(tmp_path_factory, embedded):
    folder = tmp_path_factory.mktemp("benchmarks")
    models = embedded / "models"
    candidates = [
        {"name": "tiny-s", "model": str(models / "tiny-s")},
        {"name": "org/absent", "model": str(folder / "nowhere")},
        {"name": "tiny-m", "model": str(models / "tiny-m")},
    ]
    published = folder / "published.csv"
    published.write_text(
        "task,shots,family,model,value,source\n"
        "kobest_copa,0,polyglot,Other-1b,0.7196,a report\n"
        "kobest_copa,2,polyglot,Other-1b,0.3340,a report\n"
        "kobest_copa,0,harness,Other-1b,0.6,a report\n"
    )
    suite = write_suite(folder / "mine.yaml", candidates, published=str(published))
    data = write_kobest(folder / "data")
    out = folder / "out"
    first = run("--suite", suite, "--data", data, "--out", out)
    return SimpleNamespace(folder=folder, suite=suite, data=data, out=out, first=first)


def test_a_table_a_task_has_models_by_shots_and_published_rows_below(world):
    text = world.first.out
    assert world.first.status == 0, world.first.err
    assert "COPA (macro-F1)" in text and "SentiNeg (macro-F1)" in text
    copa = text[text.index("COPA (macro-F1)") : text.index("SentiNeg (macro-F1)")]
    header, _, *rows = copa.strip().splitlines()[2:]
    assert header.split() == ["model", "0-shot", "2-shot"]
    assert [row.split()[0] for row in rows] == ["tiny-s", "org/absent", "tiny-m", "Other-1b"]
    assert rows[-1].split()[1:] == ["0.7196", "0.3340", "published"]
    assert "failed" in rows[1]
    assert "taken from a report" in text
    assert "Other-1b, kobest_copa 2-shot: 0.3340 is about what one answer" in text
    assert "Other-1b" not in text[text.index("SentiNeg (macro-F1)") : text.index("±: half")]


def test_the_csv_has_a_line_a_cell_with_interval_and_p_value(world):
    lines = lines_of(world.out)
    measured = [line for line in lines if line["status"] == "measured"]
    assert len(measured) == 8
    for line in measured:
        low, value, high = (float(line[k]) for k in ("ci_low", "value", "ci_high"))
        assert 0 <= low <= value <= high <= 1
        assert line["rows"] == "9" and line["family"] == "polyglot"
        assert float(line["value"]) == float(line["macro_f1"])
    for cell in {(line["task"], line["shots"]) for line in measured}:
        own = [line for line in measured if (line["task"], line["shots"]) == cell]
        assert sorted(line["p_best"] == "" for line in own) == [False, True]
    assert {line["status"].split(":")[0] for line in lines} == {
        "measured",
        "failed",
        "published",
    }


def test_finished_cells_are_used_again_and_only_changed_data_is_asked_anew(world, tmp_path):
    out = shutil.copytree(world.out, tmp_path / "out")
    again = run("--suite", world.suite, "--data", world.data, "--out", out)
    assert again.out.replace(str(out), "") == world.first.out.replace(str(world.out), "")
    assert again.err.count("nothing has changed") == 2 and "0-shot (" not in again.err
    data = write_kobest(tmp_path / "data", test=8)
    model = yaml.safe_load(world.suite.read_text())["candidates"][0]["model"]
    one = f"candidates=[{{name: tiny-s, model: {model}}}]"
    changed = run("--suite", world.suite, "--data", data, "--out", out, "--set", one)
    assert changed.status == 0 and "tiny-s: kobest_copa 0-shot (1 of 4)" in changed.err
    rows = {line["rows"] for line in lines_of(out) if line["status"] == "measured"}
    assert rows == {"8"}


def test_families_and_fast_mode_have_runs_of_their_own_and_no_published_rows_beside(world):
    folders = {path.name for path in (world.out / "tiny-s").iterdir()}
    assert "kobest_copa.polyglot.0shot" in folders
    tiny = yaml.safe_load(world.suite.read_text())["candidates"][0]
    more = ["--set", f"candidates=[{{name: tiny-s, model: {tiny['model']}}}]"]
    more += ["--set", "tasks=[{task: kobest_copa, shots: [2]}]", "--set", "fast=true"]
    fast = run("--suite", world.suite, "--data", world.data, "--out", world.out / "f", *more)
    assert "the same shots for all rows" in fast.out and "Other-1b" not in fast.out
    assert (world.out / "f" / "tiny-s" / "kobest_copa.polyglot.2shot.fast").is_dir()


def test_question_sets_leave_out_what_is_excluded_and_what_is_not_there(world, tmp_path):
    rows = [(f"k{i}", f"{i} 다음은?", [str(i + n) for n in range(1, 5)], 1) for i in range(6)]
    write_questions(tmp_path / "kmmlu" / "kmmlu.csv", rows)
    (tmp_path / "ids.txt").write_text("k1\nk2\n")
    tiny = yaml.safe_load(world.suite.read_text())["candidates"][0]
    found = run(
        *("--suite", "korean", "--data", tmp_path, "--out", tmp_path / "out"),
        *("--set", f"candidates=[{{name: tiny-s, model: {tiny['model']}}}]"),
        *("--set", "prompt=embedded", "--set", f"exclude=[{tmp_path / 'ids.txt'}]"),
    )
    assert found.status == 0, found.err
    assert "click: " in found.err and "its column is left out" in found.err
    assert "KMMLU" in found.out and "CLIcK" not in found.out
    assert "kmmlu 0-shot: 2 rows excluded" in found.out
    (line,) = lines_of(tmp_path / "out")
    assert (line["rows"], line["excluded_rows"]) == ("4", "2")


@pytest.mark.parametrize(
    "arguments, told",
    [
        (["--suite", "kobest", "--exam", "x.csv"], "takes --data, not --exam"),
        (["--suite", "embedded", "--data", "x"], "takes --exam, not --data"),
        (["--suite", "kobest", "--data", "nowhere"], "not there: nowhere/kobest_copa"),
        (["--suite", "korean", "--data", "nowhere"], "not there: nowhere/kmmlu/kmmlu.csv"),
    ],
)
def test_what_a_suite_cannot_take_is_refused_before_anything_is_written(
    arguments, told, tmp_path
):
    out = tmp_path / "out"
    found = run(*arguments, "--out", out)
    assert found.status == 2 and told in found.err and not out.exists()
