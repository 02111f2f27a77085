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
    {"task": "kobest_copa", "title": "COPA", "shots": [0, 2], "metric": "macro_f1"},
    {"task": "kobest_sentineg", "title": "SentiNeg", "shots": [0, 2], "metric": "macro_f1"},
]


def run(*arguments):
    stdout, stderr = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
            status = main(["explore", *map(str, arguments)])
    return SimpleNamespace(status=status, out=stdout.getvalue(), err=stderr.getvalue())


def write_suite(path, candidates, **changes):
    value = {
        "name": "mine",
        "prompt_family": "polyglot",
        "tasks": TASKS,
        "candidates": candidates,
    }
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
        "task,shots,prompt_family,model,value,source\n"
        "kobest_copa,0,polyglot,Other-1b,0.7196,a report\n"
        "kobest_copa,2,polyglot,Other-1b,0.3340,a report\n"
        "kobest_copa,0,harness,Other-1b,0.6,a report\n"
    )
    suite = write_suite(folder / "mine.yaml", candidates, published=str(published))
    data = write_kobest(folder / "data")
    out = folder / "out"
    first = run("--suite", suite, "--data", data, "--out", out)
    one = f"candidates=[{{name: tiny-s, model: {models / 'tiny-s'}}}]"
    return SimpleNamespace(suite=suite, data=data, out=out, first=first, one=one)


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
    assert "Other-1b" not in text[text.index("SentiNeg (macro-F1)") : text.index("±: half")]


def test_the_csv_has_a_line_a_cell_with_interval_and_p_value(world):
    lines = lines_of(world.out)
    measured = [line for line in lines if line["status"] == "measured"]
    assert len(measured) == 8
    for line in measured:
        low, value, high = (float(line[k]) for k in ("ci_low", "value", "ci_high"))
        assert 0 <= low <= value <= high <= 1
        assert line["questions"] == "9" and line["prompt_family"] == "polyglot"
        assert float(line["value"]) == float(line["macro_f1"])
    for cell in {(line["task"], line["shots"]) for line in measured}:
        own = [line for line in measured if (line["task"], line["shots"]) == cell]
        assert sorted(line["p_best"] == "" for line in own) == [False, True]
    assert {line["status"].split(":")[0] for line in lines} == {
        "measured",
        "failed",
        "published",
    }


def test_finished_cells_are_reused_and_changed_data_is_scored(world, tmp_path):
    out = shutil.copytree(world.out, tmp_path / "out")
    again = run("--suite", world.suite, "--data", world.data, "--out", out)
    assert again.out.replace(str(out), "") == world.first.out.replace(str(world.out), "")
    assert again.err.count("nothing has changed") == 2
    data = write_kobest(tmp_path / "data", test=8)
    changed = run("--suite", world.suite, "--data", data, "--out", out, "--set", world.one)
    assert changed.status == 0 and "nothing has changed" not in changed.err
    rows = {line["questions"] for line in lines_of(out) if line["status"] == "measured"}
    assert rows == {"8"}


def test_prompt_families_and_fixed_shots_have_runs_of_their_own_and_no_published_rows_beside(
    world,
):
    folders = {path.name for path in (world.out / "tiny-s").iterdir()}
    assert "kobest_copa.polyglot.0shot" in folders
    more = [
        "--set",
        world.one,
        "--set",
        "tasks=[{task: kobest_copa, shots: [2]}]",
        "--set",
        "fixed_shots=true",
    ]
    fast = run("--suite", world.suite, "--data", world.data, "--out", world.out / "f", *more)
    assert "the same shots for all rows" in fast.out and "Other-1b" not in fast.out
    assert (world.out / "f" / "tiny-s" / "kobest_copa.polyglot.2shot.fixed").is_dir()


def test_question_sets_leave_out_what_is_excluded_and_what_is_not_there(world, tmp_path):
    rows = [(f"k{i}", f"{i} 다음은?", [str(i + n) for n in range(1, 5)], 1) for i in range(6)]
    write_questions(tmp_path / "kmmlu" / "kmmlu.csv", rows)
    (tmp_path / "ids.txt").write_text("k1\nk2\n")
    found = run(
        *("--suite", "korean", "--data", tmp_path, "--out", tmp_path / "out"),
        *("--set", world.one),
        *("--set", "prompt=embedded", "--set", f"exclude=[{tmp_path / 'ids.txt'}]"),
    )
    assert found.status == 0, found.err
    assert "click.csv not found: its column is left out" in found.err
    assert "KMMLU" in found.out and "CLIcK" not in found.out
    assert "kmmlu 0-shot (2 rows)" in found.out
    (line,) = lines_of(tmp_path / "out")
    assert (line["questions"], line["excluded_rows"]) == ("4", "2")


@pytest.mark.parametrize(
    "arguments, told",
    [
        (
            ["--suite", "kobest", "--exam", "x.csv"],
            "is a benchmark suite: use --data instead of --exam",
        ),
        (
            ["--suite", "embedded", "--data", "x"],
            "is an exam suite: use --exam instead of --data",
        ),
        (
            ["--suite", "kobest", "--data", "nowhere"],
            "nowhere/kobest/COPA/train.tsv.gz: not found",
        ),
        (["--suite", "korean", "--data", "nowhere"], "not found: nowhere/kmmlu/kmmlu.csv"),
    ],
)
def test_what_a_suite_cannot_take_is_refused_before_anything_is_written(
    arguments, told, tmp_path
):
    out = tmp_path / "out"
    found = run(*arguments, "--out", out)
    assert found.status == 2 and told in found.err and not out.exists()
