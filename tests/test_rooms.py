"""The house rules that a reader relies on: who may import whom, and that help loads little."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = [
    "core",
    "exam",
    "models",
    "scoring",
    "kowiki",
    "explore",
    "finetune",
    "submit",
    "report",
    "ask",
    "cli_export",
    "cli_submit",
    "cli_kowiki",
    "cli",
]
# explore and finetune stand side by side: neither imports the other.
APART = {("finetune", "explore")}
# Beside the row: the generator of the embedded world may use every room, none may use it.
BESIDE = {"embedded", "__init__", "__main__"}


def room_of(path: Path) -> str:
    return path.relative_to(ROOT / "solution").parts[0].removesuffix(".py")


def imports(path: Path) -> list[list[str]]:
    """What a file imports of solution, as parts of the dotted path after `solution`."""
    modules = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written in full"
            modules.append(node.module)
            if node.module == "solution":
                names = [alias.name for alias in node.names]
                modules += [f"solution.{name}" for name in names if name in {*ROOMS, *BESIDE}]
    parts = [module.split(".") for module in modules]
    return [part[1:] for part in parts if part[0] == "solution" and len(part) > 1]


SOURCES = sorted((ROOT / "solution").rglob("*.py"))


def test_every_folder_is_a_room_of_the_plan():
    assert {room_of(path) for path in SOURCES} <= {*ROOMS, *BESIDE}


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_rooms_import_leftwards_and_through_the_door(path):
    room = room_of(path)
    for other, *inside in imports(path):
        if other == room:
            continue
        assert other not in BESIDE or room in BESIDE, f"{room} imports {other}"
        assert inside == [], f"{path.name} reaches into solution.{other}.{'.'.join(inside)}"
        if room not in BESIDE:
            assert ROOMS.index(other) < ROOMS.index(room), f"{room} imports {other}"
            assert (room, other) not in APART


HELP = [
    ["doctor"],
    ["explore"],
    ["finetune"],
    ["plan"],
    ["translate"],
    ["predict"],
    ["kowiki"],
    ["kowiki", "build"],
    ["kowiki", "search"],
    ["kowiki", "questions"],
    ["ask"],
    ["harness"],
    ["export"],
    ["export", "merge"],
    ["export", "gguf"],
    ["export", "push"],
    ["submit"],
    ["submit", "validate"],
    ["submit", "score"],
    ["submit", "ensemble"],
    ["submit", "shakeup"],
    ["submit", "history"],
    ["report"],
]


@pytest.mark.parametrize("command", [[], *HELP], ids=" ".join)
def test_help_of_every_command_loads_nothing_heavy(command):
    code = (
        "import sys; from solution.cli import main\n"
        "try: main([*sys.argv[1:], '--help'])\n"
        "finally: print([m for m in ('torch', 'pandas', 'pydantic') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *command],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: ./run.sh")
    assert done.stdout.endswith("[]\n")


def test_every_command_of_the_command_line_is_among_those_checked():
    from solution.cli import _parser

    commands = set(_parser()._subparsers._group_actions[0].choices)
    assert commands == {command[0] for command in HELP}
