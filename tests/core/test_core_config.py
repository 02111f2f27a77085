"""YAML configurations: defaults, overrides, and errors that name the key."""

from pathlib import Path
from typing import ClassVar

import pytest

from solution.core import (
    Config,
    LocalPath,
    UserError,
    deep_merge,
    load_config,
    resolve_config,
    resolve_path,
    sha256_path,
)


class Inner(Config):
    RENAMED: ClassVar = {"save_every": "train.save_steps"}
    save_steps: int = 10


class Outer(Config):
    name: str
    train: Inner = Inner()
    more: tuple[Inner, ...] = ()
    maybe: Inner | None = None


def write(folder, text, name="a.yaml"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_overrides_reach_nested_keys(tmp_path):
    path = write(tmp_path, "name: a\n")
    assert load_config(path, Outer, ["train.save_steps=3"]).train.save_steps == 3


def test_a_file_extends_another(tmp_path):
    write(tmp_path, "name: base\ntrain: {save_steps: 7}\n", "base.yaml")
    config = load_config(write(tmp_path, "extends: base.yaml\nname: mine\n"), Outer)
    assert (config.name, config.train.save_steps) == ("mine", 7)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nam: a\n", "nam: unknown key; did you mean name?"),
        ("train: {}\n", "name: missing"),
        ("name: a\ntrain: {save_steps: x}\n", "train.save_steps: .*found 'x'"),
        ("name: a\ntrain: {save_every: 3}\n", "train.save_every: replaced by train.save_steps"),
        ("name: a\nmore: [{save_every: 3}]\n", "more.0.save_every: replaced by"),
        ("name: a\nmaybe: {save_step: 3}\n", "did you mean save_steps?"),
        ("- a\n", "expected a mapping"),
        ("a: [\n", "not valid YAML"),
        ("extends: [1]\n", "extends: expected the path"),
    ],
)
def test_an_invalid_file_names_the_key(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        load_config(write(tmp_path, text), Outer)


@pytest.mark.parametrize("override", ["name", "=3", "name.sub=3", "name=[", "train.x=1"])
def test_an_invalid_override_is_an_error(tmp_path, override):
    with pytest.raises(UserError):
        load_config(write(tmp_path, "name: a\n"), Outer, [override])


def test_all_errors_are_reported_at_once(tmp_path):
    with pytest.raises(UserError, match="2 problems"):
        load_config(write(tmp_path, "nam: a\n"), Outer)


def test_merging_replaces_lists_and_merges_mappings():
    base = {"a": {"b": 1, "c": [1, 2]}, "d": 1}
    assert deep_merge(base, {"a": {"c": [3]}}) == {"a": {"b": 1, "c": [3]}, "d": 1}
    assert base["a"]["c"] == [1, 2]


def test_an_unknown_short_name_lists_the_known_ones():
    with pytest.raises(UserError, match=r"Did you mean embedded\?.*embedded"):
        resolve_config("suites", "embeded")
    with pytest.raises(UserError, match="no such file"):
        resolve_config("suites", "absent.yaml")


class _Files(Config):
    train: LocalPath
    model: LocalPath = "data/embedded/models/tiny-s"


def _recipe(folder: Path, text: str, *files: str) -> Path:
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text("x")
    path = folder / "recipe.yaml"
    path.write_text(text)
    return path


def test_a_relative_path_is_that_beside_the_file_then_that_of_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside, here = tmp_path / "beside", tmp_path / "here"
    path = _recipe(beside, "train: data/train.csv\n", "data/train.csv")
    _recipe(here, "train: data/train.csv\n", "data/train.csv", "data/other.csv")
    monkeypatch.chdir(here)
    assert load_config(path, _Files).train == str(beside / "data/train.csv")
    # What the command line gives is relative to the working directory.
    assert load_config(path, _Files, ["train=data/train.csv"]).train == "data/train.csv"
    path.write_text("train: data/other.csv\n")
    assert load_config(path, _Files).train == "data/other.csv"
    # The project's own data/ is never read instead; the embedded files are.
    (here / "data/other.csv").unlink()
    assert not resolve_path(load_config(path, _Files).train).exists()
    assert not resolve_path("data/README.md").exists()
    assert resolve_path("data/embedded/test.csv").is_file()
    assert load_config(path, _Files).model == "data/embedded/models/tiny-s"


def test_a_base_file_names_paths_beside_itself(tmp_path: Path) -> None:
    base = _recipe(tmp_path / "base", "train: train.csv\n", "train.csv")
    path = _recipe(tmp_path / "mine", f"extends: {base}\nmodel: m\n", "m")
    found = load_config(path, _Files)
    assert found.train == str(tmp_path / "base/train.csv")
    assert found.model == str(tmp_path / "mine/m")


def test_hashes_of_a_folder_follow_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/x.jsonl").write_text("1")
    first = sha256_path(tmp_path / "a")
    (tmp_path / "a/y.jsonl").write_text("1")
    second = sha256_path(tmp_path / "a")
    (tmp_path / "a/y.jsonl").rename(tmp_path / "a/z.jsonl")
    assert len({first, second, sha256_path(tmp_path / "a")}) == 3
