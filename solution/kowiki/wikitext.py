"""Wikitext to plain text: what a reader sees, with a mark where a sentence lost something."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, NamedTuple

import mwparserfromhell as mw
from mwparserfromhell import nodes

from solution.kowiki.wikitext_rules import listed, rules

MAX_CHARS = 2_000_000
"""MediaWiki keeps pages below 2 MiB."""
MAX_UNCLOSED = 200
"""Of one mark; the parser's time grows with the square of this number."""
HEADING = "\ue002"
"""Starts the line of a heading, followed by its level and its title."""
FIRST_HOLE, LAST_HOLE = 0xF0000, 0xFFFFD
HOLE = re.compile(f"[{chr(FIRST_HOLE)}-{chr(LAST_HOLE)}]")
"""One character for each thing that could not be rendered; see `Rendered.names`."""

_PAIRS = (("{{", "}}"), ("{|", "|}"), ("[[", "]]"), ("[http", "]"))
_FORMULAS = frozenset("math chem ce score hiero graph syntaxhighlight source".split())
_HIDDEN = frozenset(
    """ref references gallery timeline imagemap templatestyles templatedata includeonly inputbox
    mapframe maplink section indicator table categorytree s del strike rt rp style""".split()
)
_INLINE = frozenset(
    """b i u big small code span font em strong ins q cite abbr ruby rb tt kbd samp var mark
    bdi bdo nobr onlyinclude noinclude li dt dd p div center blockquote poem pre br hr
    wbr""".split()
)
_BLOCK = frozenset("p div center blockquote poem pre hr".split())
_UP = str.maketrans("0123456789+-−=()n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ⁿ")
_DOWN = str.maketrans("0123456789+-−=()", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎")
_VARIANT = re.compile(r"-\{(?!\{)([^{}]*)\}-")
_LEFT_TAG = re.compile(
    rf"</?(?:{'|'.join(sorted(_INLINE | _HIDDEN | _FORMULAS))}|sub|sup)\b[^<>]*>", re.IGNORECASE
)
_REF = re.compile(
    r"""<ref\b(?:"[^"]*"|'[^']*'|[^<>"'])*?(?:/>|>.*?</ref\s*>)""", re.DOTALL | re.IGNORECASE
)
# What <nowiki> protects, as characters that no later step treats as markup.
_PROTECT = str.maketrans({char: chr(0xE010 + i) for i, char in enumerate("[]{}|'<>*#:;-!")})
_RESTORE = {value: chr(key) for key, value in ((k, ord(v)) for k, v in _PROTECT.items())}
_NO_PROSE = (*"*#:;|!{-= ", HEADING)
_LEFT_BRACES = re.compile(r"\{\{[^{}]*\}\}|\{\|[^{}]*\|\}|\{\{|\}\}|\{\||\|\}|\[\[|\]\]")
_SWITCH = re.compile(r"__[A-Z가-힣]+__")
_BLANKS = re.compile("[\t\u00a0\u2002\u2003\u2009\u200a\u200b\u202f\u3000 ]+")
# Brackets that are empty, or that hold a hole or a trace of something dropped at an end.
_TRACES = " \t,;·:/"
_BRACKETS = re.compile(
    rf"[ \t]?\((?=[{_TRACES})]|[^()\n]*(?:[{_TRACES}]\)|,\s*,|{HOLE.pattern}))([^()\n]*)\)"
)
_LONE_HOLES = re.compile(rf"^[*#:; ]*(?:{HOLE.pattern}[ \t]*)+$", re.MULTILINE)
_HOLES_AT_END = re.compile(rf"(?<=[.!?])(?:{HOLE.pattern})+(?=\s|$)")
_FIELD = re.compile(r"\{([^{}:]+)(?::(\w+))?\}")


class Rendered(NamedTuple):
    """The text of a page, and the name of what each hole in it stands for."""

    text: str
    names: tuple[str, ...] = ()
    reason: str = ""
    """Why the page is left out; '' where it is not."""

    def name(self, hole: str) -> str:
        """Return the name of the template, tag or link that a hole stands for."""
        return self.names[min(ord(hole) - FIRST_HOLE, len(self.names) - 1)]


def render(wikitext: str) -> Rendered:
    """Render a page: links as labels, templates by the rules, headings as marked lines."""
    text = _without_comments(wikitext)
    if len(text) > MAX_CHARS or any(
        text.count(a) - text.count(b) > MAX_UNCLOSED for a, b in _PAIRS
    ):
        return Rendered("", reason="too much unclosed or too long markup")
    if text.count("<") - text.count(">") > MAX_UNCLOSED or _unclosed_tags(text) > MAX_UNCLOSED:
        return Rendered("", reason="too much unclosed or too long markup")
    text = re.sub(
        r"^([*#:;]+)[ \t]*\{\|", r"\1\n{|", _VARIANT.sub(_variant, text), flags=re.MULTILINE
    )
    renderer = _Renderer()
    shown = renderer.code(mw.parse(text))
    reason = "disambiguation" if renderer.disambiguation else ""
    return Rendered(_finish(shown), tuple(renderer.names), reason)


def tidy(text: str) -> str:
    """Remove traces of dropped markup from brackets and repeated blanks; normalise (NFC)."""
    for _ in range(2):  # brackets within brackets
        text = _BRACKETS.sub(_bracket, text)
    text = _BLANKS.sub(" ", text).replace(" \n", "\n").replace("\n ", "\n")
    return unicodedata.normalize("NFC", text).strip()


class _Renderer:
    """Walks one page's nodes; collects the names of what it cannot render."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.disambiguation = False

    def hole(self, name: str) -> str:
        self.names.append(name)
        return chr(min(FIRST_HOLE + len(self.names) - 1, LAST_HOLE))

    def code(self, code: Any) -> str:
        return "".join(self.node(node) for node in code.nodes) if code is not None else ""

    def node(self, node: Any) -> str:
        render_node = _NODES.get(type(node))
        return render_node(self, node) if render_node else ""

    def heading(self, node: nodes.Heading) -> str:
        return f"\n{HEADING}{node.level}{self.code(node.title).strip()}\n"

    def placeholder(self, node: nodes.Argument) -> str:
        return self.code(node.default) or self.hole("{{{ }}}")

    def link(self, node: nodes.Wikilink) -> str:
        target = str(node.title).strip()
        prefix, colon, rest = target.lstrip(":").partition(":")
        prefix = prefix.strip().lower() if colon else ""
        if prefix in listed("hidden_links") and not target.startswith(":"):
            return ""
        if prefix in listed("languages") and not target.startswith(":"):
            return ""
        if node.text is not None and str(node.text).strip():
            return self.code(node.text)
        if prefix in listed("sister_links") or prefix in listed("languages"):
            return rest.strip()
        return self.code(node.title).strip().lstrip(":")

    def address(self, node: nodes.ExternalLink) -> str:
        if not node.brackets:
            return self.hole("URL")
        return self.code(node.title)

    def tag(self, node: nodes.Tag) -> str:
        name = str(node.tag).strip().lower()
        if name == "nowiki":
            return html.unescape(str(node.contents)).translate(_PROTECT)
        if name in _FORMULAS:
            return self.hole(f"<{name}>")
        if name in ("sub", "sup"):
            return self.script(self.code(node.contents), _UP if name == "sup" else _DOWN)
        if name in _HIDDEN:
            return ""
        if name not in _INLINE:
            return f"<{node.tag}>{self.code(node.contents)}</{node.closing_tag}>"
        inner = "\n" if name == "br" else self.code(node.contents)
        return f"\n{inner}\n" if name in _BLOCK else inner

    def script(self, inner: str, table: dict[int, int]) -> str:
        """Write a superscript or subscript in Unicode; its digits must not join the text's."""
        shown = inner.translate(table)
        return shown if all(ord(char) in table for char in inner) else self.hole("<sup>")

    def template(self, node: nodes.Template) -> str:
        name = _name(str(node.name))
        if name.startswith("formatnum:"):
            number = name.partition(":")[2].strip()
            return f"{int(number):,}" if number.isdecimal() else number
        self.disambiguation |= _matches(name, rules().disambiguation)
        if _matches(name, rules().hidden + rules().disambiguation):
            return ""
        for show in _readings(name):
            if (shown := self.reading(node, show)) is not None:
                return shown
        if "\n" in str(node.params[0] if node.params else ""):
            return "\n"  # an infobox or another box, which is part of no sentence
        return self.hole(name.partition(":")[0] if name.startswith("#") else name)

    def reading(self, node: nodes.Template, show: str) -> str | None:
        """Fill a reading with the arguments; None where one is missing or of another kind."""
        values: dict[str, str] = {}
        for field, kind in _FIELD.findall(show):
            value = self.argument(node, field)
            value = _checked(value, kind) if value else ""
            if not value or HOLE.search(value):
                return None
            values[f"{{{field}:{kind}}}" if kind else f"{{{field}}}"] = value
        return re.sub(_FIELD, lambda match: values[match[0]], show)

    def argument(self, node: nodes.Template, field: str) -> str:
        if field == "-1":
            unnamed = [p for p in node.params if str(p.name).strip().isdecimal()]
            field = str(unnamed[-1].name) if unnamed else ""
        if not field or not node.has(field):
            return ""
        return self.code(node.get(field).value).strip()


_NODES: dict[type, Callable[[_Renderer, Any], str]] = {
    nodes.Text: lambda _, node: str(node),
    nodes.HTMLEntity: lambda _, node: str(node.normalize()),
    nodes.Wikilink: _Renderer.link,
    nodes.ExternalLink: _Renderer.address,
    nodes.Tag: _Renderer.tag,
    nodes.Template: _Renderer.template,
    nodes.Heading: _Renderer.heading,
    nodes.Argument: _Renderer.placeholder,
}


def _name(name: str) -> str:
    name = name.replace("_", " ").strip()
    for prefix in ("틀:", "template:", "Template:"):
        name = name.removeprefix(prefix)
    return name.casefold()


@cache
def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern.casefold()) for pattern in patterns)


@cache
def _readings(name: str) -> tuple[str, ...]:
    return next((one["show"] for one in rules().readings if _matches(name, one["names"])), ())


def _checked(value: str, kind: str) -> str:
    if kind == "unit":
        return rules().units.get(value, "")
    if kind == "number" and not re.fullmatch(r"[-+−]?[\d.,]+", value):
        return ""
    return "" if kind == "hangul" and not re.search("[가-힣]", value) else value


def _without_comments(text: str) -> str:
    """Remove comments and footnotes."""
    first, *rest = _REF.sub("", text).split("<!--")
    return first + "".join(part.partition("-->")[2] for part in rest)


def _unclosed_tags(text: str) -> int:
    opened = len(re.findall(r"<[a-zA-Z][^<>/]*>", text)) - text.count("</")
    return opened - len(re.findall(r"<(?:br|hr|wbr)\b", text))


def _variant(match: re.Match[str]) -> str:
    """Resolve `-{text}-` and `-{zh-cn:text;zh-tw:other}-` to its first text."""
    first = match[1].rpartition("|")[2].partition(";")[0]
    return first.rpartition(":")[2].strip()


def _bracket(match: re.Match[str]) -> str:
    """Drop the parts of a bracket with a hole or without text."""
    parts = (part.strip(_TRACES) for part in re.split(r"[,;]\s", match[1]))
    inside = ", ".join(part for part in parts if part and not HOLE.search(part))
    blank = " " if match[0][0].isspace() and inside else ""
    return f"{blank}({inside})" if inside else ""


def _finish(text: str) -> str:
    text = _LEFT_TAG.sub("", text)
    text = _SWITCH.sub("", _LEFT_BRACES.sub(" ", text))
    for quotes in ("'''''", "'''", "''"):
        text = text.replace(quotes, "")
    text = re.sub(r"^'(?=[^'\n]*$)", "", text, flags=re.MULTILINE)  # of an unclosed bold
    text = _joined_lines(_HOLES_AT_END.sub("", _LONE_HOLES.sub("", text)))
    text = re.sub(r"\n(?:[*#:;]+[ \t]*|-{4,}|[|!][^\n]*)", "\n", f"\n{text}")
    return tidy(text.translate(_RESTORE))


def _joined_lines(text: str) -> str:
    """Join lines that a single newline breaks within a sentence: it is shown as a blank."""
    lines: list[str] = []
    for line in text.split("\n"):
        above = lines[-1].rstrip() if lines else ""
        whole = above[-1:] in ".!?。…:\"'”’」』)]" or HOLE.match(above[-1:])
        listed_or_blank = not line.strip() or line.startswith(_NO_PROSE)
        if not above or whole or listed_or_blank or above.startswith(_NO_PROSE):
            lines.append(line)
        else:
            lines[-1] = f"{above} {line.lstrip()}"
    return "\n".join(lines)
