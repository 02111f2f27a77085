"""YAML files read into pydantic models that forbid unknown keys."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, ValidationInfo

from solution.core.errors import ErrorCollector, UserError
from solution.core.files import PROJECT

PACKAGE = Path(__file__).resolve().parent.parent


class Config(BaseModel):
    """Base of every configuration: frozen, unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())
    RENAMED: ClassVar[Mapping[str, str]] = {}
    """Keys of earlier versions and what replaces each; an error message names the new key."""


def path_from_here(value: Any, info: ValidationInfo) -> Any:
    """Turn a path relative to its YAML file into one relative to the working directory."""
    context = info.context or {"folders": (), "given": ()}
    if isinstance(value, dict):
        return {key: path_from_here(item, info) for key, item in value.items()}
    if not isinstance(value, str) or value in context["given"]:
        return value
    with suppress(OSError, ValueError):  # no possible path: a hub id, or an error below
        for folder in context["folders"]:
            if folder == PROJECT and Path(value).exists():
                return value
            if (folder / value).exists():
                return str(folder / value)
    return value


LocalPath = Annotated[str, BeforeValidator(path_from_here)]
"""A path of a YAML file (or a name): beside that file, else in the working directory."""

C = TypeVar("C", bound=Config)


def resolve_config(kind: str, name: str) -> Path:
    """Return the path of a configuration: a short name in solution/<kind>/ or a YAML file.

    Raises:
        UserError: There is no such file; the message lists the available names.

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
        names = sorted(p.stem for p in (PACKAGE / kind).glob("*.yaml"))
        near = difflib.get_close_matches(name, names, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise UserError(
            f"{name!r} is not one of the {kind}.{hint} Available: {', '.join(names)}; "
            "or give a path to a .yaml file."
        )
    return path


def load_config(path: Path, model: type[C], overrides: Sequence[str] = ()) -> C:
    """Read one YAML file, apply `key.sub=value` overrides and validate it.

    A file with `extends: OTHER.yaml` (relative to its own folder) overrides the keys it names.

    Raises:
        UserError: Names the file, each wrong key and what was expected.

    """
    data, folders = _read_extended(path)
    given = {text for override in overrides for text in _texts(apply_override(data, override))}
    return validate_config(data, model, str(path), {"folders": folders, "given": given})


def validate_config(data: Mapping[str, Any], model: type[C], name: str, paths: Any = None) -> C:
    """Validate keys and values; `name` is the prefix of the message.

    `paths` (`folders`, `given`): where each `LocalPath` is looked for before the working
    directory, and the values that the command line gave, which only mean the latter.

    Raises:
        UserError: Names each wrong key and what was expected.

    """
    try:
        return model.model_validate(data, context=paths)
    except ValidationError as error:
        problems = ErrorCollector(name)
        for detail in error.errors():
            problems.add(_explain(detail, model))
        problems.raise_if_any("Fix the keys named above (or the --set that changed them).")
        raise AssertionError("unreachable") from error


def deep_merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` updated with `changes`; nested mappings merge, other values do not."""
    merged = dict(base)
    for key, value in changes.items():
        old = base.get(key)
        nested = isinstance(old, dict) and isinstance(value, dict)
        merged[key] = deep_merge(old, value) if nested and old is not None else value
    return merged


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping; raise UserError for anything else."""
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


def _read_extended(path: Path) -> tuple[dict[str, Any], list[Path]]:
    """Return the keys of a file and its base, and the folders that its paths start from."""
    data, folders = read_yaml(path), [_folder_of_paths(path)]
    parent = data.pop("extends", None)
    if parent is None:
        return data, folders
    if not isinstance(parent, str):
        raise UserError(f"{path}: extends: expected the path of a YAML file.")
    base = read_yaml(path.parent / parent)
    if "extends" in base:
        raise UserError(f"{path}: extends: {parent} extends another file; name that one.")
    return deep_merge(base, data), [*folders, _folder_of_paths(path.parent / parent)]


def _folder_of_paths(path: Path) -> Path:
    """The files shipped with the package name paths of the project."""
    return PROJECT if path.resolve().is_relative_to(PACKAGE) else path.parent


def apply_override(data: dict[str, Any], override: str) -> Any:
    """Set the key of `key.sub=value`, a YAML value, and return that value."""
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
        return data[last]
    except yaml.YAMLError as error:
        raise UserError(f"--set {override}: the value is not valid YAML: {error}") from error


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def _explain(error: Any, model: type[BaseModel]) -> str:
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        key = str(error["loc"][-1])
        for config in _nested(model):
            if key in getattr(config, "RENAMED", {}):
                return f"{where}: replaced by {config.RENAMED[key]}"
        known = {name for config in _nested(model) for name in config.model_fields}
        near = difflib.get_close_matches(key, known, n=1)
        return f"{where}: unknown key" + (f"; did you mean {near[0]}?" if near else "")
    if error["type"] == "missing":
        return f"{where}: missing"
    return f"{where}: {error['msg']} (found {error['input']!r})"


def _nested(annotation: Any) -> Iterator[Any]:
    """Yield the pydantic models inside an annotation, depth first."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from _nested(field.annotation)
    for argument in get_args(annotation):
        yield from _nested(argument)
