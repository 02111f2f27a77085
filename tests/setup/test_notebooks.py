"""Notebooks run from top to bottom on the embedded exam; container files are sound."""

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
# Added to the commands of a notebook, so that they take seconds.
SHORTER = {
    "./run.sh explore": " --set 'candidates=[{name: s, model: data/embedded/models/tiny-s}]'",
    "$LAUNCH finetune": " --set train.max_steps=2",
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The project as a clone would be, its environment being the one of these tests."""
    for name in ("requirements", "solution", "pyproject.toml"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "data" / "embedded", tmp_path / "data" / "embedded")
    (tmp_path / "run.sh").write_text(
        f'#!/usr/bin/env bash\nexec "{sys.executable}" -m solution "$@"\n', encoding="utf-8"
    )
    (tmp_path / "run.sh").chmod(0o755)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")  # no nvidia-smi: the notebook's CPU way
    return tmp_path


@pytest.mark.parametrize("name", ["contest_kaggle", "contest_colab"])
def test_a_notebook_runs_from_top_to_bottom(project, name):
    notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert not cell.get("outputs"), "committed without outputs"
        for command, options in SHORTER.items():
            cell.source = cell.source.replace(command, f"{command}{options}")
    resources = {"metadata": {"path": str(project)}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources).execute()
    printed = "".join(
        output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", [])
    )
    assert "GPU: False" in printed and "data/embedded/test.csv" in printed
    with (project / "submissions/embedded/submission.csv").open(encoding="utf-8") as stream:
        assert len(list(csv.DictReader(stream))) == 320
    assert (project / "runs" / "report.html").stat().st_size > 100_000


def test_the_dockerfile_is_clean_and_copies_what_it_needs():
    linter = Path(sys.executable).parent / "hadolint"
    found = subprocess.run(
        [linter, ROOT / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stdout) == (0, "")
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    copied = [line.split()[1] for line in text.splitlines() if line.startswith("COPY ")]
    assert all((ROOT / path).exists() for path in copied), copied
    services = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    for service in services.values():
        stack = service["build"]["args"]["STACK"]
        assert (ROOT / "requirements" / f"{stack}.txt").is_file()
        assert service["image"] == f"exam-qa:{stack}"
