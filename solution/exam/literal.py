"""Dicts and lists inside a cell: JSON or a Python literal, which is never run."""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
from collections import Counter
from typing import Any

MAX_CHARS = 200_000  # the contest's longest `problems` has 1,170
EXPECTED = "expected a Python dict of texts, lists and numbers, or JSON"
# What other programs leave in a cell, which is no literal.
FOREIGN = {
    r"\bnan\b": "nan, a missing value that pandas wrote: fill it before saving",
    r"\barray\(": "array(…), a numpy array: save lists (.tolist())",
    r"\b(np|numpy)\.\w+": "a numpy number such as np.int64(…): convert it by int()",
}


class ParseError(Exception):
    """An invalid field of one row: `field: expected ..., found ...`."""


def parse_literal(text: str) -> Any:
    r"""Parse JSON or a Python literal; raise ParseError for anything else.

    JSON is tried first: its escapes (`\/`, surrogate pairs) mean something else in Python.
    """
    if len(text) > MAX_CHARS:
        raise ParseError(f"{EXPECTED}, at most {MAX_CHARS} characters; found {len(text)}")
    if not text.strip():
        raise ParseError(f"{EXPECTED}, found nothing")
    try:
        return json.loads(text, object_pairs_hook=_unique_keys)
    except (ValueError, RecursionError):
        pass
    for pattern, what in FOREIGN.items():
        if re.search(pattern, _outside_texts(text)):
            raise ParseError(f"{EXPECTED}, found {what}")
    try:
        tree = ast.parse(text.strip(), mode="eval")
        if isinstance(tree.body, ast.Dict):
            keys = [key.value for key in tree.body.keys if isinstance(key, ast.Constant)]
            _unique_keys([(key, None) for key in keys])
        return ast.literal_eval(tree)
    except SyntaxError as error:
        raise ParseError(f"{EXPECTED}; cannot be parsed: {error.msg}") from error
    except (ValueError, TypeError) as error:
        raise ParseError(f"{EXPECTED}, found code or names in it, which are not run") from error
    except (MemoryError, RecursionError) as error:
        raise ParseError(f"{EXPECTED}; too deeply nested") from error


def _outside_texts(text: str) -> str:
    """Return the literal without its strings; two strings in a row lack a comma.

    Python would join them: a numpy array of choices prints so (['a' 'b']).
    """
    kept: list[str] = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.STRING and kept and kept[-1] == "''":
                raise ParseError(
                    f"{EXPECTED}, found two texts without a comma between them, as numpy "
                    "prints arrays: save lists (.tolist())"
                )
            if token.type not in (tokenize.NL, tokenize.COMMENT):
                kept.append("''" if token.type == tokenize.STRING else token.string)
    except (tokenize.TokenError, SyntaxError):
        pass  # the parser names the place
    return "".join(kept)


def _unique_keys(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    for key, count in Counter(key for key, _ in pairs).items():
        if count > 1:
            raise ParseError(f"duplicate key {key!r}")
    return dict(pairs)
