"""The whole command on tiny random models: table, reuse, failing candidates, faulty suites."""

import csv
import json
import shutil
from dataclasses import replace

import pytest
import yaml

from solution.core import open_run
from solution.exam import load_prompt, write_exam
from solution.explore import worker
from solution.explore.job import ExamCell, Job, without_answers
from solution.models import ModelReference


def rows_of(out):
    with (out / "leaderboard.csv").open(encoding="utf-8", newline="") as stream:
        return {row["model"]: row for row in csv.DictReader(stream)}


def a_job(world, folder):
    cell = ExamCell(
        name="small",
        path=folder / "a",
        prompt=load_prompt(str(world.folder / "short.yaml")),
        questions=without_answers(world.questions),
    )
    return Job(
        name="a",
        path=folder / "a",
        reference=ModelReference(model=str(world.folder / "a")),
        cells=(cell,),
        batch_tokens=1000,
    )


def test_sound_candidates_are_scored_though_others_die(first):
    assert first.status == 0, first.stderr
    status = {name: row["status"] for name, row in rows_of(first.out).items()}
    assert status["a"] == status["b"] == "scored"
    assert {name for name in status if status[name].startswith("failed: ")} == {
        "killed",
        "crashed",
        "org/absent",
    }


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("killed", ["killed by the OS, probably out of memory", "quantization: 4bit"]),
        ("crashed", ["SIGSEGV", "doctor", "crashed.failed.log"]),
        ("org/absent", ["nowhere", "no such folder"]),
    ],
)
def test_a_failed_candidates_status_gives_reason_and_remedy(first, name, parts):
    status = rows_of(first.out)[name]["status"]
    assert all(part in status for part in parts), status
    assert "\n" not in status
    assert status in first.stdout


def test_a_failed_candidates_log_is_left_and_no_folder(first):
    log = (first.out / "crashed.failed.log").read_text()
    assert "Segmentation fault" in log and "dying.py" in log
    assert {path.name for path in first.out.iterdir() if path.is_dir()} == {"a", "b", "harness"}


@pytest.mark.parametrize(
    ("name", "part"), [("broken", "KeyError: 'no such thing'"), ("hungry", "4bit")]
)
def test_an_error_in_the_worker_is_a_reason_and_logged(
    world, tmp_path, monkeypatch, name, part
):
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path))
    model = ModelReference(model=str(world.folder / name), trust_remote_code=True)
    job = a_job(world, tmp_path).model_copy(update={"reference": model})
    with job.log.open("w") as stream:
        assert part in worker.attempt(job, stream)
    assert part in job.log.read_text()


def test_run_folder_is_whole(first):
    folder = first.out / "a"
    assert {path.name for path in folder.iterdir()} == {
        "config.yaml",
        "environment.json",
        "log.txt",
        "metrics.json",
        "predictions.parquet",
    }
    assert yaml.safe_load((folder / "config.yaml").read_text())["prompt"]["name"] == "short"
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["questions"] == 150 and metrics["seconds"] > 0
    assert metrics["accuracy"] == pytest.approx(
        float(rows_of(first.out)["a"]["accuracy"]), abs=1e-6
    )


def test_leaderboard_holds_every_figure(first):
    row = rows_of(first.out)["b"]
    low, middle, high = (float(row[name]) for name in ("ci_low", "accuracy", "ci_high"))
    assert 0 <= low < middle < high <= 1
    filled = "public private macro_f1 questions_per_second peak_memory_gib most_common_answer"
    assert all(row[name] for name in [*filled.split(), "accuracy_국어", "accuracy_사회"])
    assert (row["published_public"], row["published_private"]) == ("0.500000", "0.250000")
    assert float(row["public"]) * 75 == pytest.approx(
        round(float(row["public"]) * 75), abs=1e-3
    )


def test_table_is_sorted_and_holds_baselines_below(first):
    lines = first.stdout.splitlines()
    names = [line.split("  ")[0] for line in lines]
    order = [names.index(name) for name in ("a", "b")]
    better = rows_of(first.out)["a"]["accuracy"] >= rows_of(first.out)["b"]["accuracy"]
    assert (order == sorted(order)) == better
    for name in ("random (expected)", "longest choice", "word overlap with passage"):
        assert names.index(name) > max(order)
    assert any(name.startswith("always ") for name in names)
    page = (first.out / "leaderboard.md").read_text(encoding="utf-8")
    assert "| a |" in page and "| longest choice |" in page and "McNemar" in page


@pytest.fixture
def copy(first, tmp_path):
    return shutil.copytree(first.out, tmp_path / "copy")


def test_second_run_scores_nothing_again(copy, world):
    before = {p: p.stat().st_mtime_ns for n in "ab" for p in (copy / n).iterdir()}
    leaderboard = (copy / "leaderboard.csv").read_bytes()
    again = world.run(world.suite("sound", ["a", "b"], batch_tokens=999), copy)
    assert again.status == 0 and again.stderr.count("reusing its finished run") == 2
    assert before == {p: p.stat().st_mtime_ns for p in before}
    ours = [line for line in leaderboard.splitlines() if line[:2] in (b"a,", b"b,")]
    now = (copy / "leaderboard.csv").read_bytes().splitlines()[1:]
    assert [line.split(b",")[:11] for line in now] == [line.split(b",")[:11] for line in ours]


def test_a_key_changes_the_figures_without_scoring_again(first, copy, world):
    before = (copy / "a/predictions.parquet").stat().st_mtime_ns
    suite = world.suite("keyed", ["a", "b"])
    exam, key = (str(world.folder / name) for name in ("exam.csv", "key.csv"))
    again = world.run(suite, copy, "--exam", exam, "--solution", key)
    assert again.status == 0 and again.stderr.count("reusing its finished run") == 2
    assert (copy / "a/predictions.parquet").stat().st_mtime_ns == before
    halves = [rows_of(out)["a"]["public"] for out in (first.out, copy)]
    metrics = json.loads((copy / "a/metrics.json").read_text())
    assert halves[0] != halves[1] == f"{metrics['public']:.6f}"


def test_another_exam_is_scored_and_the_first_run_kept(copy, world):
    write_exam(world.folder / "few.csv", world.questions[:20])
    done = world.run(world.suite("one", ["a"]), copy, "--exam", str(world.folder / "few.csv"))
    assert done.status == 0, done.stderr
    assert rows_of(copy)["a"]["questions"] == "20"
    kept = [path for path in copy.iterdir() if path.name.startswith("a.")]
    assert len(kept) == 1 and (kept[0] / "predictions.parquet").is_file()


def test_inputs_change_with_questions_prompt_and_weights_but_not_with_answers(world, tmp_path):
    job = a_job(world, tmp_path)

    def mark(reference=None, batch_tokens=1000, **changes):
        cell = job.cells[0].model_copy(update=changes)
        changed = job.model_copy(
            update={"cells": (cell,), "reference": reference or job.reference}
        )
        assert Job.model_validate_json(changed.model_dump_json()) == changed
        inputs = changed.model_inputs() | cell.inputs()
        return open_run(tmp_path / "a", inputs).fingerprint

    plain, first = mark(), world.questions[0]
    assert mark(batch_tokens=7, name="other") == plain
    answered = [replace(first, answer=2, subject="x"), *world.questions[1:]]
    assert mark(questions=without_answers(answered)) == plain
    reworded = (replace(first, question="아닌 것은?"), *world.questions[1:])
    assert mark(questions=without_answers(reworded)) != plain
    assert mark(questions=without_answers(world.questions[1:])) != plain
    prompt = load_prompt(str(world.folder / "short.yaml"))
    assert mark(prompt=prompt.model_copy(update={"separator": " / "})) != plain
    assert mark(ModelReference(model=str(world.folder / "b"))) != plain
    moved = shutil.copytree(world.folder / "a", tmp_path / "moved")
    same_name = ModelReference(model=str(moved))
    before = mark(same_name)
    weights = bytearray((moved / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (moved / "model.safetensors").write_bytes(weights)
    assert mark(same_name) != before


def test_where_nothing_can_be_scored_the_user_is_told(world, tmp_path):
    absent = {"name": "gone", "model": str(tmp_path / "nowhere")}
    done = world.run(world.suite("gone", [absent]), tmp_path / "out")
    assert done.status == 2
    assert "no candidate could be scored" in done.stderr and "no such folder" in done.stderr
    assert "Traceback" not in done.stderr
