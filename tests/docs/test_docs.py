"""Documentation: commands run, links and quoted messages exist, the reference is current."""

import ast
import csv
import re
import runpy
import shlex
import shutil
from pathlib import Path

import pytest

from solution.cli import main
from tools.reference import FOLDER, pages

ROOT = Path(__file__).resolve().parents[2]
DOCS = [ROOT / "README.md", ROOT / "README.ko.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
# Commands of the documentation that tests do not run, and why.
NOT_RUN = {
    r"--suite (kobest|openllm|seed|FILE)|DEEPL|nllb": "needs the network",
    r"finetune --recipe (qwen|kgoat|RECIPE|cot-)|launch |torchrun": "needs a GPU",
    r"--ray|^ray |ssh |pip install": "needs Ray and a cluster (tests/explore)",
    r"docker ": "needs a container engine",
    r"--recipe tiny/": "tests/finetune run all miniatures",
    r"run\.sh ask": "serves a page until it is stopped (tests/ask)",
    r"kowiki-latest": "needs a dump (tests/kowiki)",
    r"export |other\.csv|study\.html|-5-folds|--folds": "stands for the reader's own runs",
}
# Added to commands, so that they take seconds; the embedded exam is cut as well.
ONE = "[{name: tiny-s, model: data/embedded/models/tiny-s}]"
SHORTER = {
    "finetune": ["--set", "train.max_steps=2"],
    "explore": ["--set", f"candidates={ONE}"],
}
ROWS = {"train.csv": 80, "test.csv": 24, "solution.csv": 24}


def blocks(path, *languages):
    found = BLOCK.findall(path.read_text(encoding="utf-8"))
    return [text for language, text in found if language in languages]


def commands(path):
    """The command lines of a page, without their comments."""
    lines = "\n".join(blocks(path, "")).replace("\\\n", " ").splitlines()
    found = [re.split(r"\s+(?:#|  )", f"{line} ", maxsplit=1)[0].strip() for line in lines]
    return [one for line in found for one in line.split(" && ") if one]


ALL = list(dict.fromkeys(command for page in DOCS for command in commands(page)))


def test_the_reference_is_current():
    for name, text in pages().items():
        current = (FOLDER / name).read_text(encoding="utf-8")
        assert current == text, "run: python -m tools.reference"


@pytest.mark.parametrize("page", [*DOCS, ROOT / "CONTRIBUTING.md"], ids=lambda p: p.name)
def test_links_lead_to_files_and_headings(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.M)
            assert anchor in {
                re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings
            }


@pytest.mark.parametrize("name", ["contest", "new-contest"])
def test_both_languages_of_a_tutorial_have_the_same_commands(name):
    pages = [ROOT / "docs" / "tutorials" / f"{name}{language}.md" for language in ("", ".ko")]
    english, korean = (commands(page) for page in pages)
    assert english == korean
    assert blocks(pages[0], "python") == blocks(pages[1], "python")
    assert commands(ROOT / "README.md") == commands(ROOT / "README.ko.md")


def test_the_messages_of_troubleshooting_are_those_of_the_code():
    texts = [(ROOT / "requirements" / "setup.sh").read_text(encoding="utf-8")]
    for path in (ROOT / "solution").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    code = "\n".join(texts)
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?`) \|", page, re.M)
    assert len(rows) > 15
    for message in re.findall(r"`([^`]*)`", "\n".join(rows)):
        for part in re.split(r"…|\b[A-Z]{1,4}\b", message):
            assert part.strip(" ,;.:") in code, message


def test_results_name_their_command_commit_and_machine():
    for path in (ROOT / "benchmarks" / "results").glob("*.md"):
        text = path.read_text(encoding="utf-8")
        assert re.search(r"benchmarks/\w+\.py", text), path
        assert re.search(r"[Cc]ommit [0-9a-f]{7}", text), path
        assert re.search(r"machine|GPU|core", text), path


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A folder with the files that the pages name, and a cut copy of the embedded exam."""
    work = tmp_path_factory.mktemp("docs")
    embedded = work / "data" / "embedded"
    embedded.mkdir(parents=True)
    for path in (ROOT / "data" / "embedded").iterdir():
        if path.name not in ROWS:
            (embedded / path.name).symlink_to(path)
            continue
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))[: ROWS[path.name] + 1]
        with (embedded / path.name).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)
    for name in ("train.csv", "test.csv"):
        shutil.copy(embedded / name, work / "data")
    shutil.copy(embedded / "solution.csv", work / "my-solution.csv")
    for page in DOCS:
        for text in blocks(page, "yaml", "python"):
            if name := re.match(r"# ([\w-]+\.(?:yaml|py))\n", text):
                (work / name[1]).write_text(text, encoding="utf-8")
    return work


@pytest.mark.parametrize("command", ALL)
def test_commands_run(work, monkeypatch, command):
    if any(re.search(pattern, command) for pattern in NOT_RUN):
        return
    monkeypatch.chdir(work)
    program, *arguments = shlex.split(command)
    if program == "./run.sh":
        assert main([*arguments, *SHORTER.get(arguments[0], [])]) == 0
    elif program == "cp":
        for name in arguments[:-1]:
            shutil.copy(name, arguments[-1])
    else:
        assert [program, *arguments] == ["PYTHONPATH=.", ".venv/bin/python", "make_contest.py"]
        runpy.run_path("make_contest.py")


def test_every_reason_not_to_run_is_needed():
    for pattern in NOT_RUN:
        assert any(re.search(pattern, command) for command in ALL), pattern
