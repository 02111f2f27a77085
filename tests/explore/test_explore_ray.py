"""A sweep on a Ray cluster of two nodes: one is lost in the middle, and nothing else is."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from solution.cli import main
from solution.core import UserError
from solution.explore.ray_cluster import resources
from solution.models import ModelReference

ROOT = Path(__file__).resolve().parents[2]
NAMES = [f"{model}{number}" for number in range(4) for model in "ab"]
# What the machine decides, not the model.
MEASURED = ("seconds", "questions_per_second", "peak_memory_gib")
# What a lost node had kept is not computed again: these depend on when it was lost.
COST = ("tokens_computed", "tokens_shared_ratio")


def suite_of(world):
    # max_length differs, so that no two of the eight are one and the same job.
    candidates = [
        {"name": n, "model": str(world.folder / n[0]), "max_length": 3000 + int(n[1])}
        for n in NAMES
    ]
    return world.suite("eight", candidates)


@pytest.fixture(scope="module")
def swept(world, ray_cluster, tmp_path_factory):
    """The suite on a cluster that loses a node as soon as one candidate is finished."""
    worker = {"num_cpus": 1, "memory": 2**36}
    head = {"num_cpus": 0, "include_dashboard": False}
    cluster, (_, lost, _) = ray_cluster(head, worker, worker)
    out = tmp_path_factory.mktemp("swept") / "out"
    command = [sys.executable, "-m", "solution", "explore", "--suite", str(suite_of(world))]
    process = subprocess.Popen(
        [*command, f"--out={out}", f"--ray={cluster.address}"],
        env=world.environment | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        before = wait_for_one(out, process)
        cluster.remove_node(lost, allow_graceful=False)
        world.sweep_said = process.communicate(timeout=3000)
        assert process.returncode == 0, world.sweep_said[1]
    finally:
        process.kill()
        cluster.shutdown()
    return out, before


def wait_for_one(out, process):
    """The finished runs and the time each was finished, as soon as there is one."""
    while process.poll() is None:
        done = {p.parent.name: p.stat().st_mtime_ns for p in out.glob("[ab]*/config.yaml")}
        if done:
            return done
        time.sleep(0.05)
    raise AssertionError(process.communicate()[1])


def test_results_are_those_of_a_sweep_one_by_one(swept, world, tmp_path):
    out, _ = swept
    one_by_one = world.run(suite_of(world), tmp_path / "out")
    assert one_by_one.status == 0, one_by_one.stderr
    cheaper = []
    for name in NAMES:
        ours, theirs = (folder / name for folder in (out, one_by_one.out))
        for file in ("predictions.parquet", "config.yaml"):
            assert (ours / file).read_bytes() == (theirs / file).read_bytes()
        metrics = [json.loads((f / "metrics.json").read_text()) for f in (ours, theirs)]
        assert all(not one.keys() ^ metrics[0].keys() for one in metrics)
        kept = [
            {k: v for k, v in one.items() if k not in (*MEASURED, *COST)} for one in metrics
        ]
        assert kept[0] == kept[1]
        if any(metrics[0][key] != metrics[1][key] for key in COST):
            cheaper.append(name)
    # The lost node's worker may have begun one more before it noticed that its raylet is gone.
    assert len(cheaper) <= 2, "only candidates that were cut off had answers kept"


def test_a_lost_node_costs_only_what_ran_on_it(swept):
    out, before = swept
    after = {p.parent.name: p.stat().st_mtime_ns for p in out.glob("[ab]*/config.yaml")}
    assert set(after) == set(NAMES)
    assert before.items() <= after.items(), "a finished candidate was scored again"
    begun = {name: (out / name / "log.txt").read_text().count(" loading ") for name in NAMES}
    assert max(begun.values()) <= 2
    assert sum(count == 2 for count in begun.values()) <= 1, begun


LISTENING = """
import contextlib, ipaddress, psutil
from solution.explore.ray_cluster import connected

def sockets(process):
    with contextlib.suppress(psutil.Error):  # it may have ended
        return process.net_connections("inet")
    return []

with connected("local"):
    me = psutil.Process()
    for process in [me, *me.children(recursive=True)]:
        for connection in sockets(process):
            address = ipaddress.ip_address(connection.laddr.ip)
            address = getattr(address, "ipv4_mapped", None) or address
            if connection.status == psutil.CONN_LISTEN:
                print(process.name(), "loopback" if address.is_loopback else address)
"""


def test_a_cluster_started_here_listens_on_the_loopback_interface_only():
    command = [sys.executable, "-c", LISTENING]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line]
    assert any(line.startswith("gcs_server") for line in lines), done.stdout
    assert [line for line in lines if not line.endswith(" loopback")] == []


def test_nothing_imports_ray_without_the_flag():
    rooms = "solution.explore.command, solution.explore.worker"
    code = f"import sys, {rooms}; print('ray' in sys.modules)"
    command = [sys.executable, "-c", code]
    said = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert said.stdout.strip() == "False", said.stderr


def test_a_cluster_that_does_not_answer_is_told(world, tmp_path, capsys, monkeypatch):
    ray = pytest.importorskip("ray")

    def refuse(**_):
        raise ConnectionError("nobody there")

    monkeypatch.setattr(ray, "init", refuse)
    out = str(tmp_path / "out")
    command = ["explore", "--suite", str(suite_of(world)), "--out", out, "--ray", "auto"]
    assert main(command) == 2
    assert "no Ray cluster answers there" in capsys.readouterr().err


def test_a_model_too_large_for_every_node_is_refused(world, monkeypatch):
    reference = ModelReference(model=str(world.folder / "a"))
    node = {"Alive": True, "Resources": {"CPU": 4.0, "memory": 2.0**32}}
    wants = resources(reference, [node])
    assert wants["num_cpus"] == 1 and 2**31 < wants["memory"] < 2**32
    dead = {"Alive": False, "Resources": {"CPU": 4.0, "memory": 2.0**40}}
    small = {"Alive": True, "Resources": {"CPU": 4.0, "memory": 2.0**30}}
    with pytest.raises(UserError, match="no node of the cluster"):
        resources(reference, [small, dead])


def test_cards_are_asked_for_by_what_the_weights_need(world, monkeypatch):
    from solution.explore import ray_cluster as cluster

    node = {"Alive": True, "Resources": {"CPU": 40.0, "GPU": 4.0, "memory": 2.0**38}}
    monkeypatch.setattr(cluster, "_gpu_bytes", lambda: 32 * 2**30)
    reference = ModelReference(model=str(world.folder / "a"))
    for needed, cards in ((5, 1), (40, 2), (100, 4)):
        monkeypatch.setattr(cluster, "scoring_bytes", lambda *_, n=needed: n * 2**30)
        assert resources(reference, [node])["num_gpus"] == cards
    monkeypatch.setattr(cluster, "scoring_bytes", lambda *_: 200 * 2**30)
    with pytest.raises(UserError, match="needs 7 GPUs"):
        resources(reference, [node])
