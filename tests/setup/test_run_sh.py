"""run.sh against stand-ins for Python, uv and nvidia-smi: nothing is downloaded."""

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = """
awk basename bash cat cp cut df dirname flock grep head ls mkdir mv
readlink realpath rm sha256sum sh sleep sort tail tee touch uname
"""

# Replaces every Python: answers the probe, "makes" environments, records the calls.
PYTHON = """\
#!/usr/bin/env bash
echo "$(basename "$0") $* find-links=${UV_FIND_LINKS:-}" >>"$CALLS"
case "$1 ${2:-}" in
  "- "*) ((${FAKE_MINOR:-11} >= 11 && ${FAKE_MINOR:-11} <= $2)) ;;
  "-V "*) echo "Python 3.${FAKE_MINOR:-11}.7" ;;
  "-m venv") mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
  "-m uv")
    [[ ! -f $BREAK || "$*" != *--requirement* ]] || { cat "$BREAK"; exit 1; }
    sleep "${SLOW:-0}" ;;
  "-m solution") pwd; shift 2; echo "solution: $*" ;;
esac
"""


class Project:
    """A copy of the set-up files in a folder of its own, and a PATH that holds little else."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "project"
        self.bin = folder / "bin"
        self.user = folder / "user"
        self.calls = folder / "calls"
        self.broken = folder / "broken"
        for made in (self.root, self.bin, self.user):
            made.mkdir()
        shutil.copy(ROOT / "run.sh", self.root)
        shutil.copytree(ROOT / "requirements", self.root / "requirements")
        (self.root / "solution").mkdir()
        shutil.copy(ROOT / "solution" / "help.txt", self.root / "solution")
        for tool in TOOLS.split():
            (self.bin / tool).symlink_to(shutil.which(tool))
        self.program("python3", PYTHON)

    def program(self, name: str, text: str) -> None:
        (self.bin / name).unlink(missing_ok=True)
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def card(self, *capabilities: str) -> None:
        self.program("nvidia-smi", "#!/bin/sh\nprintf '%s\\n' " + " ".join(capabilities))

    def environment(self, extra: dict[str, str]) -> dict[str, str]:
        fixed = {"PATH": self.bin, "CALLS": self.calls, "BREAK": self.broken, "HOME": self.user}
        return {key: str(value) for key, value in {**fixed, **extra}.items()}

    def start(self, *arguments: str, **extra: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(self.root / "run.sh"), *arguments],
            cwd=self.user,
            env=self.environment(extra),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def run(self, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, **extra)
        out, err = process.communicate(timeout=600)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def installs(self) -> list[str]:
        """The lists that were asked for since the last look."""
        text = self.calls.read_text() if self.calls.exists() else ""
        self.calls.unlink(missing_ok=True)
        return re.findall(r"--requirement \S+/(\w+)\.txt", text)

    @property
    def stamp(self) -> Path:
        return self.root / ".venv" / ".stamp"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.mark.parametrize("arguments", [[], ["help"], ["-h"], ["--help"]])
def test_help_needs_no_environment_and_makes_none(project, arguments):
    result = project.run(*arguments)
    assert result.returncode == 0
    assert "explore" in result.stdout
    assert not (project.root / ".venv").exists()


def test_help_is_that_of_the_command_line(project):
    from solution.cli import help_text

    assert project.run().stdout == help_text(), "python -m solution > solution/help.txt"


def test_an_unknown_command_sets_nothing_up(project):
    result = project.run("explode")
    assert result.returncode == 2
    assert "unknown command 'explode'" in result.stderr
    assert not (project.root / ".venv").exists()


def test_first_call_sets_up_and_later_calls_go_straight_on(project):
    first = project.run("explore", "--exam", "my file.csv")
    assert first.returncode == 0, first.stderr
    assert "Setting up the cpu stack" in first.stderr
    assert "GB" in first.stderr
    assert project.installs() == ["cpu"]
    second = project.run("explore", "--exam", "my file.csv")
    assert second.stderr == ""
    assert project.installs() == []
    assert second.stdout == f"{project.user}\nsolution: explore --exam my file.csv\n"


def test_later_calls_ask_no_card_and_no_network(project):
    project.run("doctor")
    project.program("nvidia-smi", "#!/bin/sh\nsleep 60\n")
    assert project.run("doctor", SLOW="60").returncode == 0


@pytest.mark.parametrize(
    ("capabilities", "stack"),
    [
        (["7.0"], "v100"),
        (["7.2"], "v100"),
        (["7.5"], "gpu"),
        (["8.0"], "gpu"),
        (["9.0"], "gpu"),
        (["12.0"], "gpu"),
        (["8.0", "7.0"], "v100"),
        (["12.0", "8.6"], "gpu"),
        (["6.1"], "cpu"),
        (["[N/A]"], "cpu"),
    ],
)
def test_the_card_chooses_the_stack(project, capabilities, stack):
    project.card(*capabilities)
    result = project.run("doctor")
    assert f"Setting up the {stack} stack" in result.stderr
    assert project.stamp.read_text().startswith(f"{stack} 3.11.7 ")


def test_a_failing_nvidia_smi_means_no_card(project):
    project.program("nvidia-smi", "#!/bin/sh\necho 'Failed to initialize NVML'\nexit 9\n")
    assert "Setting up the cpu stack" in project.run("doctor").stderr


def test_examqa_stack_overrules_the_card_and_is_remembered(project):
    project.card("9.0")
    project.run("doctor", EXAMQA_STACK="v100")
    assert project.installs() == ["v100"]
    assert project.run("doctor").stderr == ""
    project.run("doctor", EXAMQA_STACK="cpu")
    assert project.installs() == ["cpu"]


def test_an_unknown_stack_is_named_with_the_known_ones(project):
    result = project.run("doctor", EXAMQA_STACK="tpu")
    assert result.returncode == 2
    assert result.stderr == "error: EXAMQA_STACK=tpu: expected one of cpu v100 gpu.\n"


def test_a_changed_list_is_installed_over_the_old_one(project):
    project.run("doctor")
    project.installs()
    kept = project.root / ".venv" / "kept"
    kept.touch()
    with (project.root / "requirements" / "cpu.txt").open("a") as file:
        file.write("zzz==1.0\n")
    result = project.run("doctor")
    assert "its list of packages changed" in result.stderr
    assert project.installs() == ["cpu"]
    assert kept.exists()
    assert project.run("doctor").stderr == ""


def test_an_interrupted_install_starts_over(project):
    process = project.start("doctor", SLOW="30")
    while not (project.root / ".venv" / "bin" / "python").exists():
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not project.stamp.exists()
    half_made = project.root / ".venv" / "half-made"
    half_made.touch()
    project.installs()
    assert project.run("doctor").returncode == 0
    assert project.installs() == ["cpu"]
    assert not half_made.exists()


def test_another_python_makes_another_environment(project):
    project.run("doctor")
    project.installs()
    project.program("python3.12", PYTHON.replace(":-11", ":-12"))
    assert project.run("doctor").stderr == ""
    project.run("doctor", EXAMQA_PYTHON="python3.12")
    assert project.installs() == ["cpu"]
    assert project.stamp.read_text().startswith("cpu 3.12.7 ")


def test_an_environment_without_its_python_is_made_again(project):
    project.run("doctor")
    project.installs()
    (project.root / ".venv" / "bin" / "python").unlink()
    assert project.run("doctor").returncode == 0
    assert project.installs() == ["cpu"]


def test_two_first_calls_at_once_install_once(project):
    both = [project.start("doctor", SLOW="1") for _ in range(2)]
    errors = [process.communicate(timeout=600)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], errors
    assert project.installs() == ["cpu"]
    assert sum("waiting for it" in error for error in errors) == 1


def test_a_folder_of_the_users_is_never_emptied(project):
    precious = project.user / "precious"
    precious.mkdir()
    (precious / "thesis.txt").touch()
    result = project.run("doctor", EXAMQA_VENV=str(precious))
    assert result.returncode == 2
    assert "was not made by run.sh" in result.stderr
    assert (precious / "thesis.txt").exists()


def test_examqa_venv_is_taken_from_the_users_folder(project):
    assert project.run("doctor", EXAMQA_VENV="deep/env").returncode == 0
    assert (project.user / "deep" / "env" / ".stamp").exists()
    assert not (project.root / ".venv").exists()


def test_uv_finds_the_wheels_that_pip_would(project):
    assert project.run("doctor", PIP_FIND_LINKS="/a /b").returncode == 0
    calls = [line for line in project.calls.read_text().splitlines() if " -m uv " in line]
    assert len(calls) == 2
    assert "torch==" in calls[0] and "--constraint" in calls[0]
    assert "--no-deps" in calls[1]
    assert all(call.endswith("find-links=/a,/b") for call in calls)


@pytest.mark.parametrize("stale_lock", [False, True])
def test_an_environment_of_the_user_is_never_deleted(project, stale_lock):
    """A lock file that a failed first call left beside it proves nothing."""
    mine = project.root / ".venv" / "bin"
    mine.mkdir(parents=True)
    (mine / "python").touch()
    if stale_lock:
        (project.root / ".venv.lock").touch()
    for _ in range(2):
        assert "was not made by run.sh" in one_line(project.run("doctor"))
        assert (mine / "python").exists()


def test_a_gpu_list_names_torch_with_all_it_needs_and_is_installed_at_once(project):
    project.run("doctor", EXAMQA_STACK="v100")
    assert "--constraint" not in project.calls.read_text()


def one_line(result: subprocess.CompletedProcess[str]) -> str:
    errors = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    assert result.returncode == 2
    assert len(errors) == 1, result.stderr
    assert result.stdout == ""
    return errors[0]


@pytest.mark.parametrize(("minor", "stack"), [("10", "cpu"), ("14", "cpu"), ("13", "v100")])
def test_a_python_that_does_not_fit_is_one_line(project, minor, stack):
    error = one_line(project.run("doctor", FAKE_MINOR=minor, EXAMQA_STACK=stack))
    assert f"the {stack} stack needs Python 3.11 to 3.1" in error
    assert not (project.root / ".venv").exists()


def test_no_python_at_all_is_one_line(project):
    (project.bin / "python3").unlink()
    assert "EXAMQA_PYTHON" in one_line(project.run("doctor"))


def test_a_wrong_examqa_python_is_one_line_that_names_it(project):
    error = one_line(project.run("doctor", EXAMQA_PYTHON="/no such/python"))
    assert "tried /no such/python." in error


def test_too_little_disk_is_one_line_before_anything_is_made(project):
    project.program("df", "#!/bin/sh\necho head\necho '/dev/x 9 9 1048576 99% /'\n")
    error = one_line(project.run("doctor"))
    assert "needs 3 GB" in error and "1 GB are free" in error
    assert not (project.root / ".venv").exists()


def test_a_disk_that_fills_up_is_named_even_where_the_log_could_not_say_it(project):
    full = "if [ -f $HOME/df ]; then echo '/ 9 9 0 9 /'; else echo '/ 9 9 99999999 9 /'; fi"
    project.program("df", f"#!/bin/sh\necho head\n{full}\ntouch $HOME/df\n")
    project.broken.write_text("killed")
    assert "no disk space left" in one_line(project.run("doctor"))


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("WARNING: Retrying after NewConnectionError('Temporary failure')", "not reached"),
        ("  Caused by: dns error: failed to lookup address", "not reached"),
        ("OSError: [Errno 28] No space left on device", "no disk space left"),
        ("ERROR: Hash mismatch for thing\n", "Hash mismatch for thing"),
    ],
)
def test_a_failed_install_is_one_line_and_repaired_by_the_next_call(project, output, said):
    project.broken.write_text(output)
    error = one_line(project.run("doctor"))
    assert said in error
    assert "setup.log" in error
    assert not project.stamp.exists()
    project.broken.unlink()
    assert project.run("doctor").returncode == 0
    assert project.stamp.exists()


def test_another_system_than_linux_is_one_line(project):
    project.program("uname", "#!/bin/sh\necho Darwin\n")
    assert "Linux" in one_line(project.run("doctor"))


def test_checks_run_in_order_and_arguments_mean_pytest_alone(project):
    project.run("doctor")
    project.calls.unlink()
    project.run("test")
    modules = re.findall(r"python -m (\S+)", project.calls.read_text())
    assert modules == ["ruff", "ruff", "mypy", "pytest"]
    project.calls.unlink()
    project.run("test", "-k", "run_sh")
    assert re.findall(r"python -m (.*) find", project.calls.read_text()) == ["pytest -k run_sh"]


def test_files_of_the_users_folder_are_not_imported_in_place_of_ours(project):
    project.run("doctor")
    python = project.root / ".venv" / "bin" / "python"
    python.write_text('#!/bin/sh\necho "$PYTHONPATH $PYTHONSAFEPATH"\n')
    assert project.run("doctor").stdout == f"{project.root} 1\n"
