"""Who may import whom, and what the command line says."""

import ast
import re
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
    "cli",
]
# explore and finetune stand side by side: neither imports the other.
APART = {("finetune", "explore")}
BESIDE = {"__init__", "__main__"}


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


# An idiom that readers of this field do not use; CONTRIBUTING.md says how to write instead.
IDIOM = re.compile(
    # the brackets keep this file out of a search for the words
    r"\b([m]end|[m]ended|[a]new|[h]earsay|[v]ouch(es)?|[b]ears|[l]earnt by heart|[w]ant of"
    r"|[s]tands (in|on|beside|there|still|again)|[h]ears|[a] fault of ours|[s]uch a one)\b",
    re.IGNORECASE,
)


def test_texts_are_written_in_plain_technical_english():
    files = [p for d in ("solution", "tests", "docs", "tools") for p in (ROOT / d).rglob("*")]
    texts = [p for p in files if p.suffix in (".py", ".md", ".yaml")]
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in (*texts, ROOT / "README.md", ROOT / "CONTRIBUTING.md")
        for match in IDIOM.finditer(path.read_text(encoding="utf-8"))
    ]
    assert not found


def test_files_are_short_and_imports_have_no_circle():
    sizes = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert not [str(path) for path, size in sizes.items() if size > 300]
    graph = {path: set(_imported_files(path)) for path in SOURCES}
    order: list[Path] = []

    def visit(path, above):
        assert path not in above, f"circle: {' → '.join(p.name for p in (*above, path))}"
        if path not in order:
            for other in sorted(graph[path]):
                visit(other, (*above, path))
            order.append(path)

    for path in SOURCES:
        visit(path, ())


def _imported_files(path):
    """Yield the files of a package's own modules that a file imports at its top level."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module.startswith("solution."):
            file = ROOT / (node.module.replace(".", "/") + ".py")
            if file.is_file():
                yield file


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


GROUPS = [["kowiki"], ["export"], ["submit"]]
HELP = [
    ["doctor"],
    ["explore"],
    ["finetune"],
    ["plan"],
    ["predict"],
    ["prompt"],
    ["kowiki"],
    ["kowiki", "build"],
    ["kowiki", "search"],
    ["kowiki", "questions"],
    ["ask"],
    ["harness"],
    ["runs"],
    ["compare"],
    ["errors"],
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
        "main([*sys.argv[1:], '--help'])\n"
        "print([m for m in ('torch', 'pandas', 'transformers', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *command],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    assert "./run.sh" in done.stdout
    assert done.stdout.endswith("[]\n")
    assert "Example: ./run.sh" in done.stdout or command in ([], ["doctor"], *GROUPS)


def test_every_command_of_the_command_line_is_among_those_checked():
    import typer

    from solution.cli import app

    group = typer.main.get_command(app)
    commands = {(name,) for name in group.commands}
    for name, command in group.commands.items():
        commands |= {(name, inner) for inner in getattr(command, "commands", {})}
    assert commands == {tuple(command) for command in HELP}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["explor"], "Did you mean 'explore'"),
        (["explore", "--suit", "x"], "--suite"),
        (["predict"], "Missing option '--exam'"),
        (
            ["submit", "ensemble", "a", "--exam", "b", "--combine", "x"],
            "'probabilities', 'votes'",
        ),
    ],
)
def test_a_wrong_command_line_is_one_line_with_exit_code_2(arguments, message, capsys):
    from solution.cli import main

    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    assert message in error


def test_the_version_is_printed(capsys):
    from solution.cli import main

    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("exam-qa ")
