"""Clean text to sections of sentences, without the sections that hold no sentences."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from solution.kowiki.clean import FORMULA

# A line of a heading behind its first =.
_HEADING = re.compile(r"(={0,5})[ \t]*([^=].*?)[ \t]*=+[ \t]*")
# What stands under these is a list of sources or links; so do their subsections.
_CUT = frozenset(
    [
        "각주",
        "주석",
        "주해",
        "참고주",
        "내용주",
        "출처",
        "참조",
        "참고",
        "참고문헌",
        "참고자료",
        "인용",
        "인용문헌",
        "같이보기",
        "함께보기",
        "더보기",
        "관련항목",
        "관련문서",
        "관련서적",
        "외부링크",
        "외부고리",
        "바깥고리",
        "링크",
        "둘러보기",
        "읽을거리",
        "더읽어보기",
        "갤러리",
        "사진",
        "그림",
        "화보",
        "역대선거결과",
        "선거결과",
        "필모그래피",
        "음반목록",
        "디스코그래피",
        "수록곡",
        "곡목록",
    ]
)
_STOP = re.compile(r"[.!?。…][\"'”’」』)\]]*(?:\s+|(?=[가-힣]))")
PLAIN_STOP = "다. "
# Another bracket or a sentence's end in brackets: where a sentence ends must be counted out.
_OPEN_BRACKET = re.compile(r"\([^()]*(?:\(|다\. )")
_STOPS = (".", "!", "?", "。", "…")
_CLOSING = "\"'”’」』)]"
# What goes on after a quotation: 고 말했다, 라는 뜻이다.
_GOES_ON = re.compile(r"(?:이?라|고|하[고며는여]|며|는|은|을|를|이|가|의|와|과|에|로|등)\s?")
_QUOTED = frozenset("\"'”’」』")
_LOST = re.compile(rf"[{FORMULA}f](?:(?<={FORMULA})|ormula_\d)")
# A line that does not end like a sentence is kept from this length on: a caption or a list item
# is shorter.
LONG_LINE = 60
# A bracket that is still open after so many characters was never closed.
LOST_BRACKET = 300


def sections(text: str) -> Iterator[tuple[str, str]]:
    """The path of headings and the text below it, in the page's order; the first path is ''."""
    first, *others = f"\n{text}".split("\n=")  # far faster than a search for headings
    path: list[tuple[int, str]] = []
    body, cut = [first], 0
    for other in others:
        line, _, rest = other.partition("\n")
        match = _HEADING.fullmatch(line)
        if not match:
            body += ["\n=", other]
            continue
        if not cut:
            yield _path(path), "".join(body)
        level, name = len(match[1]) + 1, match[2].strip()
        path = [entry for entry in path if entry[0] < level] + [(level, name)]
        cut = next((depth for depth, one in path if "".join(one.split()) in _CUT), 0)
        body = [rest]
    if not cut:
        yield _path(path), "".join(body)


def _path(path: list[tuple[int, str]]) -> str:
    return " > ".join(name for _, name in path)


def prose(text: str) -> list[str]:
    """The lines of a section that hold sentences: no list items, no captions."""
    return [line for line in text.split("\n") if line and _is_prose(line)]


def sentences(lines: Iterable[str]) -> list[str]:
    """The whole sentences of lines of prose.

    Left out are ends without a full stop, and sentences that lost a formula.
    """
    found: list[str] = []
    for line in lines:
        split = _split_plain(line) if is_plain(line) else _split(line)
        if _lost_formula(line):
            split = [one for one in split if not _LOST.search(one)]
        found += split
    return found


def is_plain(text: str) -> bool:
    """Whether every sentence ends in 다., and nothing in it needs a closer look."""
    return (
        text.endswith(PLAIN_STOP[:-1])
        and text.count(".") == text.count(PLAIN_STOP) + 1
        and not ("?" in text or "!" in text or "…" in text or "。" in text)
        and not ("(" in text and _OPEN_BRACKET.search(text))
        and not _lost_formula(text)
    )


def _lost_formula(text: str) -> bool:
    return FORMULA in text or ("_" in text and "formula_" in text)


def _split_plain(line: str) -> list[str]:
    """What `_split` gives of a plain line, at a third of its time."""
    *parts, rest = line.split(PLAIN_STOP)
    return [*(part + PLAIN_STOP[:-1] for part in parts), rest]


def _split(line: str) -> list[str]:
    found, start = [], 0
    for match in _STOP.finditer(line):
        if _ends(line, start, match):
            found.append(line[start : match.end()].rstrip())
            start = match.end()
    rest = line[start:].rstrip()
    if len(rest) >= LONG_LINE or (rest and _closed(rest)):
        found.append(rest)
    return found


def _ends(line: str, start: int, match: re.Match[str]) -> bool:
    """Whether a sentence ends here: not after 1. or J., in brackets or before 고 말했다."""
    at, end = match.start(), match.end()
    before = line[at - 1] if at > start else " "
    if before == "다" and end - at < 3:  # nearly every sentence
        if end - at == 2 and line[at + 1] in _QUOTED:
            return False
    elif not _is_end(before, match[0], line, end):
        return False
    if end - start > LOST_BRACKET or line.find("(", start, end) < 0:
        return True
    return line.count("(", start, end) <= line.count(")", start, end)


def _is_end(before: str, found: str, line: str, end: int) -> bool:
    marks = found.rstrip()
    if marks == found:  # no blank follows: that is an end after 다. only
        return False
    if before.isdigit() or before.isspace() or (before.isascii() and before.isupper()):
        return False
    return marks[-1] not in _QUOTED or not _GOES_ON.match(line, end)


def _closed(text: str) -> bool:
    return text.rstrip(_CLOSING).endswith(_STOPS)


def _is_prose(line: str) -> bool:
    """Ends like a sentence or is long, and is written in Korean for a good part."""
    if len(line) < LONG_LINE and not _closed(line) and "다. " not in line:
        return False
    # A syllable takes two bytes more than a letter: half of a line nearly always has enough.
    least = len(line) // 2
    return len(line[:least].encode()) >= 2 * least or len(line.encode()) - len(line) >= least
