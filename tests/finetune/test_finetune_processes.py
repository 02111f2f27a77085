"""Two processes that share each step learn what one learns alone, and one of them writes."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from safetensors.numpy import load_file

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "solution" / "launch"
LAUNCH = ("-m", "accelerate.commands.launch", "--config_file", str(CONFIGS / "cpu2.yaml"))
RECIPE = ("-m", "solution", "finetune", "--recipe", "tiny/qwen2.5-14b")
DATA = ("--train", "train.csv", "--test", "test.csv")
# 64 rows: the last of 4 steps has one, so one process has none.
CHANGES = (
    "data.validation_fraction=0.2",
    "train.epochs=1",
    "train.batch_size=7",
    "train.gradient_accumulation_steps=3",
    "train.eval_steps=2",
    "train.save_steps=2",
)


def launched(world, *launcher: str) -> Path:
    """The finished run of a miniature recipe, started that way in the world's folder."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    environment |= {"CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1"}
    overrides = [part for change in CHANGES for part in ("--set", change)]
    command = [sys.executable, *launcher, *RECIPE, *DATA, *overrides]
    done = subprocess.run(
        command, cwd=world.folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("Next: ") == done.stderr.count("After tuning") == 1
    return world.folder / "runs" / "finetune" / "tiny-qwen2.5-14b"


def steps(run: Path) -> list[list[float]]:
    with (run / "steps.csv").open() as stream:
        return [[float(row["loss"]), float(row["grad_norm"])] for row in csv.DictReader(stream)]


def files(run: Path) -> set[str]:
    """Every file of the run and of the folders beside it, hidden ones too."""
    return {str(path.relative_to(run.parent)) for path in run.parent.rglob("*")}


def test_a_recipe_under_accelerate_launch_equals_one_process_with_the_same_global_batch(
    tiny_world, tmp_path
):
    alone = launched(tiny_world.copy(tmp_path / "one"))
    two = launched(tiny_world.copy(tmp_path / "two"), *LAUNCH)
    assert len(steps(alone)) == 4
    for mine, other in zip(steps(two), steps(alone), strict=True):
        assert mine == pytest.approx(other, rel=1e-4)
    weights, others = (load_file(r / "adapter/adapter_model.safetensors") for r in (two, alone))
    assert weights.keys() == others.keys()
    for name, weight in weights.items():
        assert weight == pytest.approx(others[name], rel=1e-3, abs=1e-5), name
    assert files(two) == files(alone)


def test_accelerate_knows_every_key_of_the_shipped_launch_configs():
    from accelerate.commands.config.config_args import load_config_from_file

    for path, processes in ((CONFIGS / "cpu2.yaml", 2), (CONFIGS / "gpu4.yaml", 4)):
        told = yaml.safe_load(path.read_text(encoding="utf-8"))
        config = load_config_from_file(str(path))
        assert config.num_processes == processes
        assert all(str(getattr(config, key)).endswith(str(told[key])) for key in told)
