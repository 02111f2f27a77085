"""Questions made on a Ray cluster are those made without it, byte by byte."""

import subprocess
import sys
from pathlib import Path

import pytest

from solution.core import UserError
from solution.kowiki import build, material, questions

ROOT = Path(__file__).resolve().parents[2]
WRITTEN = ("questions.csv", "provenance.parquet", "report.json")


@pytest.fixture(scope="module")
def passages(embedded, tmp_path_factory):
    folder = tmp_path_factory.mktemp("kowiki_ray") / "passages"
    build(str(embedded / "wiki.xml.bz2"), folder)
    return folder


def make(embedded, passages, out, ray=None):
    questions(passages, embedded / "test.csv", [], out, limit=None, seed=0, ray=ray)
    return [(out / name).read_bytes() for name in WRITTEN]


@pytest.fixture(scope="module")
def whole(embedded, passages, tmp_path_factory):
    return make(embedded, passages, tmp_path_factory.mktemp("whole") / "out")


def test_the_size_of_shards_changes_no_byte(embedded, passages, whole, tmp_path, monkeypatch):
    monkeypatch.setattr(material, "SHARD", 50)
    assert make(embedded, passages, tmp_path / "out") == whole


def test_a_cluster_changes_no_byte(
    embedded, passages, whole, ray_cluster, tmp_path, monkeypatch
):
    monkeypatch.setattr(material, "SHARD", 50)  # several for every stage
    nodes, _ = ray_cluster({"num_cpus": 2, "include_dashboard": False})
    try:
        assert make(embedded, passages, tmp_path / "out", nodes.address) == whole
    finally:
        nodes.shutdown()


def test_a_cluster_that_does_not_answer_leaves_nothing(
    embedded, passages, tmp_path, monkeypatch
):
    ray = pytest.importorskip("ray")

    def refuse(**_):
        raise ConnectionError("nobody there")

    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(UserError, match="no Ray cluster answers there"):
        make(embedded, passages, tmp_path / "out", "auto")
    assert not (tmp_path / "out").exists()


def test_nothing_imports_ray_without_the_flag():
    code = "import sys, solution.kowiki.questions; print('ray' in sys.modules)"
    command = [sys.executable, "-c", code]
    said = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert said.stdout.strip() == "False", said.stderr
