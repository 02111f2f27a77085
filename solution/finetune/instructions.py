"""Instruction sets: their published layouts, what is kept of them, and how they are learnt."""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from string import Template
from typing import Any

from pydantic import field_validator

from solution.core import Config, UserError, load_config, log, resolve_config
from solution.exam import Exam
from solution.finetune.instruction_files import raw_rows
from solution.finetune.recipe import Instructions
from solution.kowiki import leaking

NO_ANSWER, TWICE, CAPPED = "no answer", "a duplicate", "over per_task or limit"
IN_TEST, TOO_LONG = "in the test file too", "longer than a row may be"


@dataclass(frozen=True)
class Instruction:
    """One task to be done: what is asked, on what, and the answer that is learnt."""

    source: str
    task: str
    instruction: str
    input: str
    answer: str
    template: InstructionTemplate


class InstructionTemplate(Config):
    """How a row is put to a model; placeholders are those of `string.Template`."""

    name: str
    with_input: str
    without_input: str
    split: str
    """What stands last before the answer, by which a row that is one text is taken apart."""

    @field_validator("with_input", "without_input")
    @classmethod
    def _names_its_parts(cls, text: str) -> str:
        names = set(Template(text).get_identifiers())
        if "instruction" not in names or names - {"instruction", "input"}:
            raise ValueError("must use $instruction, may use $input and nothing else")
        return text

    def prompt(self, row: Instruction) -> str:
        """The text before the answer."""
        text = self.with_input if row.input else self.without_input
        return Template(text).substitute(instruction=row.instruction, input=row.input)


@dataclass(frozen=True)
class InstructionSets:
    """The rows of all instruction sets of a recipe, and why others were left out."""

    rows: tuple[Instruction, ...] = ()
    dropped: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Counts of (source, reason)."""


NO_INSTRUCTIONS = InstructionSets()
NO_INSTRUCTIONS = InstructionSets()
Parts = tuple[str, str, str, str, str]
"""Task, instruction, input, answer and rationale of a row."""


def read_instructions(plans: Sequence[Instructions], test: Exam, seed: int) -> InstructionSets:
    """Read, clean and draw what the recipe asks for; nothing in it stands in the test file.

    Raises UserError for an absent, damaged or unknown file, and for a set that leaves no row.
    """
    rows: list[Instruction] = []
    dropped: Counter[tuple[str, str]] = Counter()
    for plan in plans:
        template = load_config(resolve_config("templates", plan.template), InstructionTemplate)
        drawn = _drawn(plan, _cleaned(plan, template, dropped), dropped, seed)
        held = leaking([_told(row) for row in drawn], test.questions) if drawn else []
        clean = [row for row, other in zip(drawn, held, strict=True) if other is None]
        dropped[plan.source, IN_TEST] += len(drawn) - len(clean)
        if not clean:
            raise UserError(f"instructions {plan.source}: no row is left to learn from.")
        rows += clean
    for (source, reason), count in dropped.items():
        if count:
            log(f"instructions {source}: {count} rows left out, {reason}")
    return InstructionSets(tuple(rows), +dropped)


def instruction_row(
    row: Instruction, tokenizer: Any, end: int, masked: int
) -> tuple[list[int], list[int]]:
    """Token ids of prompt, answer and end, and labels that are `masked` over the prompt.

    Prompt and answer are encoded as one text, as a model would have read them; the first token
    that reaches into the answer is the first that is learnt.
    """
    prompt = row.template.prompt(row)
    encoded = tokenizer(prompt + row.answer, return_offsets_mapping=True)
    ids = [*encoded.input_ids, end]
    reach = [stop for _, stop in encoded.offset_mapping]
    first = next(i for i, stop in enumerate(reach) if stop > len(prompt))
    return ids, [masked] * first + ids[first:]


def fitting(
    rows: Sequence[Instruction], tokenizer: Any, end: int, max_length: int, masked: int
) -> tuple[list[tuple[list[int], list[int]]], Counter[tuple[str, str]]]:
    """The encoded rows that fit, and the others counted: a cut answer would be learnt as whole.

    Raises UserError where none fits.
    """
    pairs, dropped = [], Counter[tuple[str, str]]()
    for row in rows:
        pair = instruction_row(row, tokenizer, end, masked)
        if len(pair[0]) <= max_length:
            pairs.append(pair)
        else:
            dropped[row.source, TOO_LONG] += 1
    if rows and not pairs:
        raise UserError(
            f"all {len(rows)} instructions are longer than {max_length} tokens. "
            "Raise train.max_seq_length or model.max_length."
        )
    return pairs, dropped


def _cleaned(
    plan: Instructions, template: InstructionTemplate, dropped: Counter[tuple[str, str]]
) -> Iterator[Instruction]:
    """The rows of one set that have a question and an answer and were not seen before."""
    seen: set[bytes] = set()
    for place, keys in raw_rows(plan.source):
        task, instruction, given, answer, reason = _parts(keys, template, place)
        if not answer or not instruction:
            dropped[plan.source, NO_ANSWER] += 1
            continue
        mark = hashlib.sha256("\0".join((instruction, given, answer)).encode()).digest()[:16]
        if mark in seen:
            dropped[plan.source, TWICE] += 1
            continue
        seen.add(mark)
        whole = {
            "first": f"{reason}\n[ANSWER] {answer}",
            "last": f"{answer}\n{reason}",
            "none": answer,
        }[plan.rationale if reason else "none"]
        yield Instruction(plan.source, task, instruction, given, whole, template)


def _drawn(
    plan: Instructions,
    rows: Iterable[Instruction],
    dropped: Counter[tuple[str, str]],
    seed: int,
) -> list[Instruction]:
    """At most `per_task` rows of each task, then at most `limit` of all.

    Each row has a number drawn from the seed and its own text, and the smallest are kept: one
    pass, no more memory than what is kept, the same rows in whatever order the file has them.
    """
    heaps: dict[str, list[tuple[int, int, Instruction]]] = {}
    count = 0
    for count, row in enumerate(rows, start=1):
        text = f"{seed}\0{row.task}\0{row.instruction}\0{row.input}\0{row.answer}"
        rank = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
        heap = heaps.setdefault(row.task, [])
        heapq.heappush(heap, (-rank, -count, row))  # the largest rank stands first
        if plan.per_task and len(heap) > plan.per_task:
            heapq.heappop(heap)
    kept = sorted(((-rank, row) for heap in heaps.values() for rank, _, row in heap), key=_rank)
    kept = kept[: plan.limit] if plan.limit else kept
    dropped[plan.source, CAPPED] += count - len(kept)
    return [row for _, row in kept]


def _rank(pair: tuple[int, Instruction]) -> int:
    return pair[0]


def _parts(keys: dict[str, Any], template: InstructionTemplate, place: str) -> Parts:
    for needed, read in LAYOUTS:
        if needed <= keys.keys():
            task, *rest = (str(part if part is not None else "").strip() for part in read(keys))
            return (task, rest[0], rest[1], rest[2], rest[3])
    if "text" in keys:
        return _taken_apart(str(keys["text"]), template, place)
    known = "; ".join(", ".join(sorted(needed)) for needed, _ in LAYOUTS)
    raise UserError(
        f"{place}: keys {', '.join(map(str, keys))} are no layout known here. "
        f"Known: {known}; text."
    )


def _taken_apart(text: str, template: InstructionTemplate, place: str) -> Parts:
    """A row that is one text in the template's own form, such as KoAlpaca v1.1's."""
    head, split, answer = text.partition(template.split)
    before = template.without_input.partition("$instruction")
    if not split:
        raise UserError(
            f"{place}: holds no {template.split!r}. Name its own template in data.instructions."
        )
    instruction = head.strip().removeprefix(before[0].strip())
    return "", instruction.strip(), "", answer.replace("<|endoftext|>", "").strip(), ""


def _told(row: Instruction) -> str:
    return f"{row.instruction}\n{row.input}\n{row.answer}"


Reader = Callable[[dict[str, Any]], Sequence[Any]]
# The keys that tell a layout, and where its parts stand. The first that fits is taken.
LAYOUTS: tuple[tuple[set[str], Reader], ...] = (
    (  # CoT-Collection, KoCoT_2000
        {"source", "target", "rationale"},
        lambda k: (k.get("task"), k["source"], "", k["target"], k["rationale"]),
    ),
    (  # Alpaca, ko_alpaca_data, KoAlpaca v1.1, Open-Platypus
        {"instruction", "output"},
        lambda k: (k.get("data_source"), k["instruction"], k.get("input"), k["output"], ""),
    ),
    (  # SciBench, a part of Open-Platypus
        {"problem_text", "answer_number"},
        lambda k: (
            k.get("source"),
            k["problem_text"],
            "",
            f"{k['answer_number']} {k.get('unit', '').strip()}",
            k.get("solution"),
        ),
    ),
    (  # TheoremQA, another
        {"Question", "Answer"},
        lambda k: (k.get("field"), k["Question"], "", k["Answer"], ""),
    ),
)
