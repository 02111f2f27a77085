"""Strict parser of the answer in a generated text."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Outcome = Literal["answered", "unparsed", "refused", "cut off"]

CIRCLED = "①②③④⑤⑥⑦⑧⑨⑩"
FULL_WIDTH = str.maketrans("０１２３４５６７８９（）［］：．", "0123456789()[]:.")
ORDINALS = {"첫": 1, "두": 2, "세": 3, "네": 4, "다섯": 5}
JSON_KEYS = ("정답", "답", "답안", "answer", "choice", "final_answer", "번호")

_THOUGHT = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL | re.IGNORECASE)
_THOUGHT_END = re.compile(r"\A.*</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
_JSON = re.compile(r"\{[^{}]*\}", re.DOTALL)
_SENTENCE = re.compile(r"(?<=[.!?。\n])\s+|\n")
# Introduces the answer: '정답은', 'Answer:', '옳지 않은 것은', '\boxed{'.
_LEAD = re.compile(
    r"""(?: (?<![가-힣]) (?:최종\s*|따라서\s*)? (?:정답\s*번호|정답|답안|답) \s*
            (?:은|는|이|:|=|-|→|\s)
          | 것은 (?=[\s:]) \s*
          | \b (?:final\s+)? (?:answer|choice) \s* (?:is|:|=|-)
          | \\boxed \s* \{ )
        [\s:=\-→"'*_`{\[(]* """,
    re.VERBOSE | re.IGNORECASE,
)
# '3번이 정답', 'option 3 is correct'.
_TRAIL = re.compile(
    r"""^ \W* (?:번|번째)? \s* (?:이|가|은|는)? \s* (?:바로\s*)?
        (?: 정답 | 답이(?:다|며|고|므로|기)|답입니다|답이에요|답임
          | is\s+(?:the\s+)?(?:correct|right|answer) )""",
    re.VERBOSE | re.IGNORECASE,
)
_NEGATED = re.compile(
    r"아니|아닙|않|틀[리린렸]|오답|제외|그르|잘못|없|\b(?:not|isn't|wrong|incorrect|except)\b",
    re.IGNORECASE,
)
# Directly after a label, a negation: '정답은 3번이 아니다'.
_TAKEN_BACK = re.compile(
    r"^\W*(?:번)?\s*(?:이|가|은|는)?\s*(?:아니|아닙|안\s|않)|^\W*(?:is\s+)?not\b", re.IGNORECASE
)
# Directly after a label, joins a second one: '1번과 3번', '2 또는 3', '1, 2'.
_JOINED = re.compile(
    r"^\W*(?:번)?\s*(?:와|과|및|또는|혹은|이나|나|하고|or|and|,|/|&|~)\s*$", re.I
)
_REFUSED = re.compile(
    r"""죄송 | 미안 | (?:답변|대답|답|응답|판단|선택|도와)\S*\s*
          (?:드릴|할|하기가?|드리기가?)?\s*(?:수\s*(?:가\s*)?없|어렵|못)
      | 알\s*수\s*(?:가\s*)?없 | 모르겠 | 정답(?:이|은)?\s*없 | 거부
      | \bi(?:'m|\s+am)\s+(?:sorry|unable) | \b(?:can(?:no|')?t|cannot|unable\s+to)\s+
          (?:answer|help|assist|determine|provide|choose) | \bsorry\b | \bas\s+an\s+ai\b""",
    re.VERBOSE | re.IGNORECASE,
)


@dataclass(frozen=True)
class ParsedAnswer:
    """The choice that a text states (from 1), or None and the reason."""

    answer: int | None
    outcome: Outcome


def read_answer(
    text: str, choices: int, labels: Sequence[str] = (), *, finished: bool = True
) -> ParsedAnswer:
    r"""Return the last unambiguous choice that the text states.

    `choices` is their number, `labels` the prompt's labels other than numbers ('A', '가');
    `finished`: the text was not cut off. Thoughts (<think>…</think>) are ignored. In order:
    a JSON object with an answer; the last statement ('정답은 3', '3번이 정답', '\boxed{3}'),
    which must name one choice; the whole text or its last line as a label; the last sentence
    that marks choices ('3번', '③', '(3)'), if it marks one and has no negation. In a text that
    was cut off only a complete statement counts.
    """
    text = _visible_text(text)
    known = _Labels(choices, labels)
    answer = _stated(text, known, complete=not finished)
    if answer is None and finished:
        answer = _bare(text, known) or _mentioned(text, known)
    if answer is not None and answer > 0:
        return ParsedAnswer(answer, "answered")
    if not finished:
        return ParsedAnswer(None, "cut off")
    return ParsedAnswer(None, "refused" if _REFUSED.search(text) else "unparsed")


def _visible_text(text: str) -> str:
    """Return the text without thoughts, also where the prompt opened them."""
    rest = _THOUGHT.sub("", text)
    return _THOUGHT_END.sub("", rest).translate(FULL_WIDTH).strip()


class _Labels:
    """Patterns of the ways to write the choices of one question."""

    def __init__(self, choices: int, labels: Sequence[str]) -> None:
        self.choices = choices
        self.numbers = {str(n): n for n in range(1, 100)} | {
            mark: n for n, mark in enumerate(CIRCLED, start=1)
        }
        own = [label.strip(" ().[]") for label in labels]
        names = {name: n for n, name in enumerate(own, 1) if name and name not in self.numbers}
        self.numbers |= names
        self.numbers |= {name.lower(): n for name, n in names.items()}
        words = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
        ordinals = "|".join(ORDINALS)
        plain = rf"[1-9][0-9]?(?![0-9])|[{CIRCLED}]" + (f"|(?:{words})" if words else "")
        # A number that continues is not a choice: '3월', '3.5', '3번째', '3개'.
        tail = (
            r"(?!\s*번째)(?=\s*번|[^\w.%]|[.](?![0-9])|$|입니다|이다|이며|이고|예요|이에요|임"
            r"|이|가|와|과|나|으로|로\b)"
        )
        self.label = re.compile(
            rf"(?P<label>{plain}){tail}|(?P<ordinal>{ordinals})\s*번째", re.IGNORECASE
        )
        marked_words = rf"|[(\[](?P<word>{words})[)\]]|(?P<named>{words})번" if words else ""
        self.marked = re.compile(
            rf"(?<![0-9.])(?P<number>[1-9][0-9]?)\s*번(?!째|\s*(?:국도|출구|씩|이나\s))"
            rf"|\b(?:option|choice|선택지|보기)\s*(?P<option>[1-9])(?![0-9])"
            rf"|[(\[](?P<bracket>[1-9])[)\]]|(?P<circle>[{CIRCLED}]){marked_words}",
            re.IGNORECASE,
        )
        ends = r"(?:\s*(?:번|번입니다|입니다|번이다|이다|번임))?"
        self.bare_label = re.compile(rf"\W*(?:{plain}){ends}\W*", re.IGNORECASE)
        # '3) 서울', '③ 서울', '3번 서울'
        self.with_text = re.compile(
            rf"[(\[*]*(?:[{CIRCLED}]\s|(?:{plain})\s*(?:번\s(?!국도|출구)|번?[)\].:\-–*]+\s)).*",
            re.IGNORECASE,
        )

    def number(self, name: str) -> int:
        """Return the choice of this name, 0 if the question has no such choice."""
        found = self.numbers.get(name) or self.numbers.get(name.lower(), 0)
        return found if found <= self.choices else 0


def _stated(text: str, known: _Labels, *, complete: bool) -> int | None:
    """Return the choice of the last statement, 0 if it is ambiguous, None without statements.

    With `complete` a statement at the very end, which may continue, is ignored.
    """
    if (found := _in_json(text, known)) is not None:
        return found
    statements = [
        (lead.start(), _named_behind(text, lead.end(), known, complete))
        for lead in _LEAD.finditer(text)
    ]
    statements += [
        (mark.start(), _number_of(mark, known))
        for mark in known.marked.finditer(text)
        if _TRAIL.match(text[mark.end() :]) and not _denied_soon(text, mark.end())
    ]
    clear = [(position, answer) for position, answer in statements if answer is not None]
    return max(clear)[1] if clear else None


def _named_behind(text: str, position: int, known: _Labels, complete: bool) -> int | None:
    """Return the choice named directly after a lead, 0 if several are, None if none is."""
    first = known.label.match(text, position)
    if first is None:
        return None
    rest = text[first.end() :]
    if _TAKEN_BACK.match(rest) or (complete and not re.search(r"[.\n]|니다|이다", rest)):
        return None
    second = known.label.search(rest)
    if second and _JOINED.match(rest[: second.start()]):
        return 0
    if first["ordinal"]:
        answer = ORDINALS[first["ordinal"]]
        return answer if answer <= known.choices else 0
    return known.number(first["label"])


def _denied_soon(text: str, position: int) -> bool:
    return bool(re.match(r"[^.!?\n]{0,12}(?:아니|아닙|않|not\b)", text[position:]))


def _in_json(text: str, known: _Labels) -> int | None:
    """Return the choice in the last JSON object with a known key, 0 if it is not one."""
    for found in reversed(_JSON.findall(text)):
        try:
            value = json.loads(found)
        except ValueError:
            continue
        keys = {str(key).strip().lower(): key for key in value}
        for key in JSON_KEYS:
            if key in keys:
                name = str(value[keys[key]]).strip(" ().[]번")
                return known.number(name)
    return None


def _bare(text: str, known: _Labels) -> int | None:
    """Return the choice if the text or its last line is only a label (and its text)."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return None
    # After other lines a label with text may be the end of a list.
    if known.bare_label.fullmatch(lines[-1]) or (
        len(lines) == 1 and known.with_text.match(text)
    ):
        label = known.label.search(lines[-1])
        return known.number(label["label"] or "") if label else None
    return None


def _mentioned(text: str, known: _Labels) -> int | None:
    """Return the only choice marked in the last sentence with any, 0 if it is negated."""
    for sentence in reversed(_SENTENCE.split(text)):
        marks = {_number_of(mark, known) for mark in known.marked.finditer(sentence)}
        if marks:
            return marks.pop() if len(marks) == 1 and not _NEGATED.search(sentence) else 0
    return None


def _number_of(mark: re.Match[str], known: _Labels) -> int:
    name = next(value for value in mark.groupdict().values() if value)
    return known.number(name)
