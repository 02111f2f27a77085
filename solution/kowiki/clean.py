"""Wikitext to plain text: a linear pass of rules; mwparserfromhell for pages it can't finish.

Headings stay as `== name ==` lines, so that sections can be told apart afterwards. Every rule
looks at each character a bounded number of times: no page, however it is nested, takes long.
"""

from __future__ import annotations

import html
import re
import unicodedata

# Pages beyond these stay as the rules left them: the parser's time grows with the square of
# unclosed tags (36 s for 20,000 of them).
PARSER_LIMIT = 100_000
PARSER_TAGS = 2_000

_HIDDEN_ELEMENTS = (
    "ref|references|math|chem|ce|gallery|timeline|imagemap|score|hiero|graph|syntaxhighlight|"
    "source|templatestyles|templatedata|includeonly|inputbox|mapframe|maplink|section|indicator"
)
_HIDDEN_LINKS = frozenset(
    [
        "파일",
        "그림",
        "file",
        "image",
        "분류",
        "category",
        "미디어",
        "media",
        "틀",
        "template",
        "포털",
        "portal",
        "wikt",
        "wiktionary",
        "s",
        "commons",
        "b",
        "n",
        "q",
        "v",
        "species",
        "wikidata",
        "d",
        "m",
        "meta",
    ]
)
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[a-z-]+)?|simple")
# Case is ignored within these only: what they begin with is found at the speed of memory.
_ELEMENT = re.compile(rf"<((?i:{_HIDDEN_ELEMENTS}))\b([^<>]*)>")
_CLOSING = {name: re.compile(rf"</(?i:{name})\s*>") for name in _HIDDEN_ELEMENTS.split("|")}
# The usual ones, which hold no other tag.
_PLAIN_REFERENCE = re.compile(r"<ref\b[^<>]*+(?:(?<=/)>|>[^<]*+</ref\s*>)")
_REFERENCE = re.compile(r"<(?i:ref)\b")
# Templates that a reader sees as their last argument.
_SHOWN = re.compile(
    r"\{\{\s*(?i:lang|llang|nowrap|nobr|한자|ko-hani|IPA|옛한글|글자색|color)\s*"
    r"(?:\|[^{}|]*)??\|([^{}|]*)\}\}",
)
# Stands where a formula was: the sentence around it can't be understood any more.
FORMULA = "\ue001"
_FORMULAS = ("math", "chem", "ce")
_HEADING = re.compile(r"^=+[^\n]*=+[ \t]*$", re.MULTILINE)
_MARK = "\ue000"  # stands for = in headings, which the parser would drop
# {{ {| }} |} |}}; a set in front lets the search skip what is none of its characters.
_BRACES = re.compile(r"[{|}](?:(?<=\{)[{|]|(?<=\|)\}\}?|(?<=\})\})")
# The usual ones, which hold no other, or templates that hold none. A pattern that begins with
# plain characters is found at the speed of memory, a choice between two such is not.
_PLAIN_TEMPLATE = re.compile(r"\{\{[^{}]*+(?:\{\{[^{}]*+\}\}[^{}]*+)*+\}\}")
_PLAIN_TABLE = re.compile(r"\{\|[^{}]*\|\}")
_PLAIN_LINK = re.compile(r"\[\[(?:[^\[\]|:]*+\|)?([^\[\]|:]*)\]\]")
_OTHER_LINK = re.compile(r"\[\[([^\[\]]*)\]\]")
_ADDRESS = re.compile(r"\[(?:https?:|ftp:)?//[^\s\[\]]*[ \t]*([^\[\]\n]*)\]")
_BARE_ADDRESS = re.compile(r"https?://[^\s<>\[\]|]+")
_BREAK = re.compile(r"<(?i:br\s*/?|/(?:p|div|li|tr)\s*)>")
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,1000}>")
_RESIDUE = re.compile(r"\{\{|\}\}|\{\||\|\}")
_SWITCH = re.compile(r"__[A-Z가-힣]+__")
_MARKER = re.compile(r"\n(?:[*#:;]+[ \t]*|-{4,}|[|!][^\n]*)")
_TRACES = " \t,;·:/"
# Empty, or with a trace at one of its ends.
_BRACKETS = re.compile(
    rf"\((?=[{_TRACES})]|[^()\n]*[{_TRACES}]\))([^()\n]*)\)",
)
_BLANKS = "\t\u00a0\u2002\u2003\u2009\u200a\u200b\u202f\u3000"


def clean(wikitext: str) -> tuple[str, bool]:
    """The text a reader sees, and whether the parser had to finish it."""
    text, whole = clean_by_rules(wikitext)
    if whole or len(wikitext) > PARSER_LIMIT or wikitext.count("<") > PARSER_TAGS:
        return text, False
    return clean_by_parser(wikitext), True


def clean_by_rules(wikitext: str) -> tuple[str, bool]:
    """The text by rules alone, and whether no markup is left that they could not pair."""
    text = _without_comments(wikitext)
    if "<" in text:
        text = _without_elements(text)
    whole = True
    if "{" in text or "}" in text:
        text, whole = _without_braces(_SHOWN.sub(r"\1", text))
    return _finish(_without_links(text)), whole


def clean_by_parser(wikitext: str) -> str:
    """The text by mwparserfromhell, under the same decisions about what is shown."""
    import mwparserfromhell

    marked = _HEADING.sub(lambda match: match[0].replace("=", _MARK), wikitext)
    tree = mwparserfromhell.parse(_SHOWN.sub(r"\1", marked))
    for tag in tree.filter_tags(recursive=False):
        name = str(tag.tag).strip().lower()
        if name in _FORMULAS:
            tree.replace(tag, FORMULA)
        elif name == "table" or name in _CLOSING:
            _remove(tree, tag)
    for link in tree.filter_wikilinks():
        if not _shown(str(link.title)):
            _remove(tree, link)
    text = str(tree.strip_code(collapse=False)).replace(_MARK, "=")
    return _finish(_RESIDUE.sub(" ", text))


def _remove(tree: object, node: object) -> None:
    try:
        tree.remove(node)  # type: ignore[attr-defined]
    except ValueError:  # it stood in something that was removed before
        return


def _without_comments(text: str) -> str:
    if "!" not in text or "<!--" not in text:
        return text
    first, *rest = text.split("<!--")
    return first + "".join(part.partition("-->")[2] for part in rest)


def _without_elements(text: str) -> str:
    """Drop references, formulas and the like whole; unclosed ones lose the tag."""
    shorter = "".join(_PLAIN_REFERENCE.split(text))
    if not _REFERENCE.search(shorter):  # else one may be unclosed, and end where the next does
        text = shorter
    kept, position = [], 0
    unclosed = set()
    for match in _ELEMENT.finditer(text):
        if match.start() < position:
            continue
        kept.append(text[position : match.start()])
        position = match.end()
        name = match[1].lower()
        if match[2].endswith("/") or name in unclosed:
            continue
        closing = _CLOSING[name].search(text, position)
        if closing:
            position = closing.end()
            if name in _FORMULAS:
                kept.append(FORMULA)
        else:
            unclosed.add(name)  # nor will a later one find it: never search again
    kept.append(text[position:])
    return "".join(kept)


def _without_braces(text: str) -> tuple[str, bool]:
    """Drop templates and tables at any depth; say whether all of them were paired."""
    for _ in range(3 if "{{{" not in text else 0):
        text = "".join(_PLAIN_TEMPLATE.split(text))
        text = "".join(_PLAIN_TABLE.split(text)) if "{" in text else text
        if not (("{" in text or "}" in text) and _RESIDUE.search(text)):
            return text, True
    stack: list[tuple[str, int]] = []
    pairs: list[tuple[int, int]] = []
    position, whole = 0, True
    while match := _BRACES.search(text, position):
        token, position = match[0], match.end()
        if token in ("{{", "{|"):
            stack.append((token, match.start()))
        elif length := _closes(token, stack[-1][0] if stack else ""):
            position = match.start() + length
            pairs.append((stack.pop()[1], position))
        else:
            whole = False
    kept, position = [], 0
    for start, end in sorted(pairs):
        if start >= position:  # else it lies inside the one before
            kept.append(text[position:start])
            position = end
    rest = "".join([*kept, text[position:]])
    return (rest, True) if whole and not stack else (_RESIDUE.sub(" ", rest), False)


def _closes(token: str, opened: str) -> int:
    """How many characters of a closing token end what was opened last; 0 for none."""
    if opened == "{{" and token.endswith("}}"):
        return len(token)
    if opened == "{|" and token.startswith("|}"):
        return 2
    return 0


def _without_links(text: str) -> str:
    if "[" not in text:
        return text
    # Joining what a split leaves, the group among it, is a substitution by it, only faster.
    text = "".join(_PLAIN_LINK.split(text))
    for _ in range(4):  # pictures hold captions with links, which hold links
        if "[" not in text:
            break
        text = _OTHER_LINK.sub(_label, text)
    if "[" in text or "]" in text:
        text = _ADDRESS.sub(r"\1", text).replace("[[", "").replace("]]", "")
    return text


def _label(match: re.Match[str]) -> str:
    target, _, label = match[1].partition("|")
    if not _shown(target):
        return ""
    return (label or target).lstrip(":")


def _shown(target: str) -> bool:
    """Whether a link is part of the sentence: no picture, category or other language."""
    space, colon, _ = target.partition(":")
    space = space.strip().lower()
    return not colon or not (space in _HIDDEN_LINKS or _LANGUAGE.fullmatch(space))


def _finish(text: str) -> str:
    """Tags, quotes, entities, list marks and traces of what was dropped; NFC."""
    if "<" in text:
        text = _TAG.sub("", _BREAK.sub("\n", text))
    text = _BARE_ADDRESS.sub("", text) if "/" in text else text
    for quotes in ("'''''", "'''", "''"):
        text = text.replace(quotes, "") if "'" in text else text
    text = html.unescape(text) if "&" in text else text
    text = _SWITCH.sub("", text) if "_" in text else text
    return tidy(_MARKER.sub("\n", f"\n{text}"))


def tidy(text: str) -> str:
    """Plain text without the traces of dropped templates; one space, no space at line ends."""
    text = _BRACKETS.sub(_bracket, text)
    for blank in _BLANKS:
        text = text.replace(blank, " ")
    while len(shorter := text.replace("  ", " ")) < len(text):
        text = shorter
    text = text.replace(" \n", "\n").replace("\n ", "\n").strip()
    return (
        text if unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", text)
    )


def _bracket(match: re.Match[str]) -> str:
    """`(, 1924년)` loses what is left of a dropped template; empty brackets go."""
    inside = match[1].strip(_TRACES)
    return f"({inside})" if inside else ""
