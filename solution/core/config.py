"""YAML files read into pydantic models that forbid unknown keys."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from solution.core.errors import ErrorCollector, UserError

PACKAGE = Path(__file__).resolve().parent.parent


class Config(BaseModel):
    """Base of every configuration: unknown keys are errors, values don't change."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


C = TypeVar("C", bound=Config)


def resolve_config(kind: str, name: str) -> Path:
    """The path of a configuration given by its short name (in solution/<kind>/) or as a file.

    Raises UserError where there is neither, with the names that exist.
    """
    if name.endswith((".yaml", ".yml")):
        path = Path(name)
        if not path.is_file():
            raise UserError(
                f"{name}: no such file. Give a YAML file or a short name of {kind}."
            )
        return path
    path = PACKAGE / kind / f"{name}.yaml"
    if not path.is_file():
        names = ", ".join(sorted(p.stem for p in (PACKAGE / kind).glob("*.yaml")))
        raise UserError(
            f"{name!r} is none of the {kind} here: {names}. Or give a path to a .yaml."
        )
    return path


def load_config(path: Path, model: type[C], overrides: Sequence[str] = ()) -> C:
    """Read one YAML file, apply `key.sub=value` overrides and validate it.

    A file that `extends` another (a path from its own folder) changes the keys it names and
    takes the rest from there. Raises UserError naming the file, the key and what was expected.
    """
    data = _read_extended(path)
    for override in overrides:
        _override(data, override)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        problems = ErrorCollector(str(path))
        for fault in error.errors():
            problems.add(_explain(fault, model))
        problems.raise_if_any("Mend the keys named above (or the --set that changed them).")
        raise AssertionError("unreachable") from error


def _read_extended(path: Path) -> dict[str, Any]:
    data = read_yaml(path)
    base = data.pop("extends", None)
    if base is None:
        return data
    if not isinstance(base, str):
        raise UserError(f"{path}: extends: expected the path of a YAML file.")
    below = read_yaml(path.parent / base)
    if "extends" in below:
        raise UserError(f"{path}: extends: {base} extends a file itself; name that one.")
    return deep_merge(below, data)


def deep_merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """`above` over `below`, key by key; anything but a mapping is replaced whole."""
    both = dict(below)
    for key, value in above.items():
        old = below.get(key)
        deeper = isinstance(old, dict) and isinstance(value, dict)
        both[key] = deep_merge(old, value) if deeper and old is not None else value
    return both


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping of one YAML file; raises UserError where it is none."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}).") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: not valid YAML in UTF-8: {error}") from error
    if not isinstance(data, dict):
        raise UserError(
            f"{path}: expected a mapping of keys at the top, found {type(data).__name__}."
        )
    return data


def _override(data: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise UserError(f"--set {override}: expected key=value, such as train.max_steps=20.")
    *parents, last = key.split(".")
    for parent in parents:
        child = data.setdefault(parent, {})
        if not isinstance(child, dict):
            raise UserError(f"--set {override}: {parent} holds a value, not keys.")
        data = child
    try:
        data[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"--set {override}: the value is not valid YAML: {error}") from error


def _explain(fault: Any, model: type[BaseModel]) -> str:
    where = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(fault["loc"][-1]), _all_keys(model), n=1)
        return f"{where}: unknown key" + (f"; did you mean {near[0]}?" if near else "")
    if fault["type"] == "missing":
        return f"{where}: missing"
    return f"{where}: {fault['msg']} (found {fault['input']!r})"


def _all_keys(model: type[BaseModel]) -> set[str]:
    keys: set[str] = set()
    for name, field in model.model_fields.items():
        keys.add(name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            keys |= _all_keys(field.annotation)
    return keys
