"""The rules of templates.yaml: how templates, links and sections are read."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from solution.core import Config, read_yaml


class Rules(Config):
    """How templates, links and sections are read; see templates.yaml."""

    readings: tuple[dict[str, tuple[str, ...]], ...]
    units: dict[str, str]
    hidden: tuple[str, ...]
    disambiguation: tuple[str, ...]
    sections: str
    hidden_links: str
    sister_links: str
    languages: str


@cache
def rules() -> Rules:
    """Read templates.yaml once."""
    return Rules.model_validate(read_yaml(Path(__file__).with_name("templates.yaml")))


@cache
def listed(key: str) -> frozenset[str]:
    """Return the words of one of the lists in templates.yaml."""
    return frozenset(getattr(rules(), key).split())
