"""What a recipe tuned is a candidate like any other: it stands on explore's leaderboard."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from solution.base import find
from solution.exam import read_exam, write_exam
from solution.explore import explore
from solution.finetune.recipe import read_recipe
from solution.scoring import read_predictions

ROOT = Path(__file__).resolve().parents[2]
RECIPE = "tiny/kgoat-polyglot-5.8b"


def test_a_tuned_miniature_is_scored_and_ranked_beside_its_base(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exam = read_exam(find("data/embedded/train.csv"), answers=True).questions[:12]
    write_exam(Path("exam.csv"), exam)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    changes = ["--set=train.max_steps=2", "--set=data.validation_fraction=0"]
    command = [sys.executable, "-m", "solution", "finetune", "--recipe", RECIPE]
    done = subprocess.run(
        [*command, "--test", "exam.csv", *changes],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    recipe = read_recipe(RECIPE, None, None, [])
    run = Path("runs/finetune") / recipe.name
    base = {"model": recipe.model.model, "dtype": "float32"}
    base["max_length"] = json.loads((run / "metrics.json").read_text())["max_length"]
    tuned = {**base, "adapter": str(run / "adapter")}
    suite = {"name": "tuned", "prompt": "embedded"}
    suite["exams"] = [{"name": "few", "exam": "exam.csv"}]
    suite["candidates"] = [{"name": "base", **base}, {"name": "tuned", **tuned}]
    Path("suite.yaml").write_text(yaml.safe_dump(suite), encoding="utf-8")
    table = explore("suite.yaml", None, None, None, [])
    board = Path("runs/explore/tuned")
    with (board / "leaderboard.csv").open(encoding="utf-8") as stream:
        rows = {row["model"]: row for row in csv.DictReader(stream)}
    assert "tuned" in table and {"base", "tuned"} <= rows.keys()
    scored = read_predictions(board / "tuned" / "predictions.parquet")
    for mine, other in zip(scored, read_predictions(run / "predictions.parquet"), strict=True):
        assert mine.id == other.id
        assert mine.log_likelihood == pytest.approx(other.log_likelihood, abs=1e-4)
    right = sum(one.answer == q.answer for one, q in zip(scored, exam, strict=True))
    assert float(rows["tuned"]["accuracy"]) == pytest.approx(right / 12, abs=1e-4)
    plain = read_predictions(board / "base" / "predictions.parquet")
    assert scored[0].log_likelihood != plain[0].log_likelihood  # tuning changed what it says
