"""Two processes that share each step learn what one learns alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent


def launched(folder: Path, *launcher: str) -> None:
    roots = f"{HERE.parents[1]}{os.pathsep}{HERE.parent}"
    environment = {**os.environ, "PYTHONPATH": roots, "OMP_NUM_THREADS": "1"}
    environment |= {"CUDA_VISIBLE_DEVICES": "", "ACCELERATE_USE_CPU": "true"}
    command = [sys.executable, *launcher, str(HERE / "two.py"), str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def test_two_gloo_processes_equal_one_with_the_same_global_batch(tmp_path):
    launched(tmp_path)
    launched(
        tmp_path,
        *("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"),
    )
    one, *two = (
        json.loads((tmp_path / name).read_text())
        for name in ("1-0.json", "2-0.json", "2-1.json")
    )
    assert len(one["loss"]) == 3
    for each in two:
        for key in ("loss", "grad_norm", "weights"):
            assert each[key] == pytest.approx(one[key], rel=1e-5, abs=1e-6)
