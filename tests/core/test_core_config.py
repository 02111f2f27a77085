"""YAML configurations: defaults, overrides, and errors that name the key."""

from typing import ClassVar

import pytest

from solution.core import Config, UserError, deep_merge, load_config, resolve_config


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
