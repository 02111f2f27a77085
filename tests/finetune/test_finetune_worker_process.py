"""Processes of a run: no weights between two stages, one run at a time, errors, SIGTERM."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from solution.core import UserError, open_run
from solution.finetune.single import lock_run
from solution.finetune.worker_process import run_in_process, stop_requests

ROOT = Path(__file__).resolve().parents[2]
# Prints before each stage whether the parent imported torch and how many processes are alive.
RECORDER = """
import multiprocessing, sys
from solution.cli import main
from solution.finetune import single, train, worker_process

def recorded(function):
    def call(*args, **options):
        alive = multiprocessing.active_children()
        print("STAGE", function.__name__, "torch" in sys.modules, len(alive), flush=True)
        return function(*args, **options)
    return call

if __name__ == "__main__":
    single.evaluate_in_subprocess = recorded(single.evaluate_in_subprocess)
    single._train = recorded(single._train)
    status = main(["finetune", "--recipe", "recipe.yaml", "--set", "train.max_steps=2"])
    print("STAGE end", "torch" in sys.modules, len(multiprocessing.active_children()))
    sys.exit(status)
"""


def test_no_weights_are_alive_in_any_process_between_two_stages(tiny_world, tmp_path):
    world = tiny_world.copy(tmp_path / "world")
    (world.folder / "recorder.py").write_text(RECORDER)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, "recorder.py"],
        cwd=world.folder,
        env=environment | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    stages = [line.split()[1:] for line in done.stdout.splitlines() if "STAGE" in line]
    # The parent never imports torch, and every earlier worker process has exited.
    assert stages == [
        ["evaluate_in_subprocess", "False", "0"],
        ["_train", "False", "0"],
        ["evaluate_in_subprocess", "False", "0"],
        ["end", "False", "0"],
    ]


def test_a_second_run_of_the_same_inputs_is_refused_while_the_first_is_running(tmp_path):
    run = open_run(tmp_path / "run", {"a": 1})
    with lock_run(run), pytest.raises(UserError, match="another finetune of the same inputs"):
        lock_run(run).__enter__()
    with lock_run(run):  # released
        pass


def fail(kind: str) -> None:
    if kind == "user":
        raise UserError("wrong row")
    if kind == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    raise ValueError("bug")


@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [
        ("user", UserError, "wrong row"),
        ("killed", UserError, "was killed"),
        ("bug", RuntimeError, "ValueError: bug"),
    ],
)
def test_errors_of_a_worker_process_are_raised_in_the_parent(kind, error, message):
    with pytest.raises(error, match=message):
        run_in_process(fail, kind, killed="it was killed")


def wait_for_stop(started: Path) -> str:
    with stop_requests() as stop_requested:
        started.touch()
        while not stop_requested():
            time.sleep(0.01)
    return "stopped"


def stop_once_started(started: Path, parent: int) -> None:
    while not started.exists():
        time.sleep(0.01)
    os.kill(parent, signal.SIGTERM)


def test_sigterm_is_forwarded_to_the_worker_process(tmp_path):
    from threading import Thread

    before = signal.getsignal(signal.SIGTERM)
    started = tmp_path / "started"
    Thread(target=stop_once_started, args=(started, os.getpid())).start()
    assert run_in_process(wait_for_stop, started, killed="killed") == "stopped"
    assert signal.getsignal(signal.SIGTERM) == before
