"""Instruction sets: read by `datasets`, deduplicated, sampled and tokenized."""

from __future__ import annotations

import gzip
import hashlib
import heapq
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any

from pydantic import field_validator

from solution.core import Config, UserError, load_config, log, resolve_config, resolve_path
from solution.exam import Exam
from solution.finetune.recipe import Instructions
from solution.kowiki import leaking
from solution.models import hub_reachable

FORMATS = {".json": "json", ".jsonl": "json", ".parquet": "parquet"}
# Usual column names of each part, in the order in which they are tried.
COLUMNS = {
    "instruction": ("instruction", "Question", "source"),
    "input": ("input",),
    "answer": ("output", "target", "Answer"),
    "rationale": ("rationale",),
    "task": ("task", "data_source", "field"),
}
NO_ANSWER, DUPLICATE, OVER_LIMIT = "no answer", "duplicate", "over per_task or limit"
IN_TEST, TOO_LONG = "also in the test file", "longer than max_seq_length"
# CoT-Collection's JSON file: one object whose values are the rows.
KEYED_ROWS = re.compile(r'\s*\{\s*"(?:[^"\\]|\\.)*"\s*:\s*\{')


class InstructionTemplate(Config):
    """A prompt template with the placeholders of `string.Template`."""

    name: str
    with_input: str
    without_input: str
    split: str
    """The end of the prompt: splits a row that is one text into prompt and answer."""

    @field_validator("with_input", "without_input")
    @classmethod
    def _has_placeholders(cls, text: str) -> str:
        names = set(Template(text).get_identifiers())
        if "instruction" not in names or names - {"instruction", "input"}:
            raise ValueError("must use $instruction, may use $input and nothing else")
        return text


@dataclass(frozen=True)
class Instruction:
    """One row of an instruction set."""

    source: str
    task: str
    instruction: str
    input: str
    answer: str
    template: InstructionTemplate

    @property
    def prompt(self) -> str:
        """The text before the answer."""
        text = self.template.with_input if self.input else self.template.without_input
        return Template(text).substitute(instruction=self.instruction, input=self.input)


@dataclass(frozen=True)
class InstructionData:
    """The rows of all instruction sets of a recipe, and the removed ones."""

    rows: tuple[Instruction, ...] = ()
    dropped: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Number of rows by (source, reason)."""


NO_INSTRUCTIONS = InstructionData()


def load_instructions(
    configs: Sequence[Instructions], test: Exam, seed: int
) -> InstructionData:
    """Read, deduplicate and sample the instruction sets; remove rows of the test file.

    Raises UserError: a missing, damaged or unknown file, or a set without any row left.
    """
    rows: list[Instruction] = []
    dropped: Counter[tuple[str, str]] = Counter()
    for config in configs:
        sampled = sample_rows(config, _parsed(config, dropped), dropped, seed)
        texts = [f"{row.instruction}\n{row.input}\n{row.answer}" for row in sampled]
        leaks = leaking(texts, test.questions) if texts else []
        clean = [row for row, leak in zip(sampled, leaks, strict=True) if leak is None]
        dropped[config.source, IN_TEST] += len(sampled) - len(clean)
        if not clean:
            raise UserError(f"instructions {config.source}: no row is left to train on.")
        rows += clean
    for (source, reason), count in dropped.items():
        if count:
            log(f"instructions {source}: {count} rows dropped, {reason}")
    return InstructionData(tuple(rows), +dropped)


def iter_rows(source: str, revision: str | None = None) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file, a folder or a dataset of the Hub.

    Everything is streamed, except a JSON object of rows by key, which is read whole.

    Raises UserError: the source is missing or a file is damaged.
    """
    from datasets import load_dataset

    for path in _files(source, revision):
        suffix = Path(path.name.removesuffix(".gz")).suffix
        try:
            if suffix == ".json" and (keyed := _keyed_rows(path)) is not None:
                yield from keyed
                continue
            files = {"data_files": str(path), "split": "train", "streaming": True}
            yield from load_dataset(FORMATS[suffix], **files)
        except (OSError, EOFError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(
                f"{path}: damaged, or not {suffix} in UTF-8 ({reason}). Download it again."
            ) from error


def sample_rows(
    config: Instructions,
    rows: Iterable[Instruction],
    dropped: Counter[tuple[str, str]],
    seed: int,
) -> list[Instruction]:
    """Return at most `per_task` rows of each task and at most `limit` rows in total.

    The order is that of a hash of seed and text, so the sample does not depend on the order in
    the file.
    """
    heaps: dict[str, list[tuple[int, int, Instruction]]] = {}
    total = 0
    for total, row in enumerate(rows, start=1):
        heap = heaps.setdefault(row.task, [])
        heapq.heappush(heap, (-_rank(row, seed), -total, row))
        if config.per_task and len(heap) > config.per_task:
            heapq.heappop(heap)  # the largest hash
    ranked = sorted((item for heap in heaps.values() for item in heap), reverse=True)
    kept = [row for _, _, row in ranked[: config.limit]]
    dropped[config.source, OVER_LIMIT] += total - len(kept)
    return kept


def tokenize_instruction(
    row: Instruction, tokenizer: Any, end: int, ignore_index: int
) -> tuple[list[int], list[int]]:
    """Return the ids of prompt, answer and end token, and the labels of the last two.

    Prompt and answer are tokenized as one text; the first token that reaches into the answer is
    the first label.
    """
    encoded = tokenizer(row.prompt + row.answer, return_offsets_mapping=True)
    ids = [*encoded.input_ids, end]
    ends = [stop for _, stop in encoded.offset_mapping]
    first = next(i for i, stop in enumerate(ends) if stop > len(row.prompt))
    return ids, [ignore_index] * first + ids[first:]


def _files(source: str, revision: str | None) -> list[Path]:
    path = resolve_path(source)
    if path.is_file():
        return [path]
    if not path.is_dir():
        path = _download(source, revision)
    endings = tuple(ending + gz for ending in FORMATS for gz in ("", ".gz"))
    files = sorted(file for file in path.rglob("*") if file.name.endswith(endings))
    files = [file for file in files if file.name != "dataset_infos.json"]
    if not files:
        raise UserError(f"instructions {source}: no {', '.join(FORMATS)} in {path}.")
    return files


def _download(source: str, revision: str | None) -> Path:
    """Download the data files of a dataset of the Hub; no code is fetched or run."""
    from huggingface_hub import snapshot_download

    if not re.fullmatch(r"[\w.-]+/[\w.-]+", source):
        raise UserError(f"instructions {source}: no such file. Give a file or a Hub id.")
    log(f"instructions {source}: downloading from the Hub")
    try:
        folder = snapshot_download(
            source,
            repo_type="dataset",
            revision=revision,
            allow_patterns=[f"*{ending}" for ending in FORMATS],
            local_files_only=not hub_reachable(),
        )
    except Exception as error:  # gated, missing, offline: the client's message says which
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"instructions {source}: not on this machine, and the download failed ({reason}). "
            "Connect, or copy the file here and name it in data.instructions."
        ) from error
    return Path(folder)


def _keyed_rows(path: Path) -> list[dict[str, Any]] | None:
    open_text = gzip.open if path.name.endswith(".gz") else open
    with open_text(path, "rt", encoding="utf-8-sig") as stream:
        if not KEYED_ROWS.match(stream.read(4096)):
            return None
        stream.seek(0)
        return list(json.load(stream).values())


def _parsed(config: Instructions, dropped: Counter[tuple[str, str]]) -> Iterator[Instruction]:
    """Yield the rows with an instruction and an answer, without duplicates."""
    template = load_config(resolve_config("templates", config.template), InstructionTemplate)
    seen: set[bytes] = set()
    for number, columns in enumerate(iter_rows(config.source, config.revision), start=1):
        place = f"instructions {config.source}, row {number}"
        parts = _parts(columns, config, template, place)
        if not parts["answer"] or not parts["instruction"]:
            dropped[config.source, NO_ANSWER] += 1
            continue
        text = "\0".join(parts[key] for key in ("instruction", "input", "answer"))
        digest = hashlib.sha256(text.encode()).digest()[:16]
        if digest in seen:
            dropped[config.source, DUPLICATE] += 1
            continue
        seen.add(digest)
        answer, rationale = parts["answer"], parts["rationale"]
        answers = {"first": f"{rationale}\n[ANSWER] {answer}", "last": f"{answer}\n{rationale}"}
        answer = answers.get(config.rationale, answer) if rationale else answer
        task, instruction, given = parts["task"], parts["instruction"], parts["input"]
        yield Instruction(config.source, task, instruction, given, answer, template)


def _parts(
    columns: Mapping[str, Any], config: Instructions, template: InstructionTemplate, place: str
) -> dict[str, str]:
    """Map the columns of a row to its parts, by the recipe or by the usual names."""
    found = {}
    for part, names in COLUMNS.items():
        chosen = config.columns.get(part)  # type: ignore[call-overload]
        candidates = (chosen,) if chosen else names
        name = next((name for name in candidates if name in columns), None)
        value = columns[name] if name else None
        found[part] = str(value).strip() if value is not None else ""
        if name is None and (chosen or part in ("instruction", "answer")):
            if "text" in columns and not config.columns:
                return _split_text(str(columns["text"]), template, place)
            raise UserError(
                f"{place}: no column for the {part} ({' or '.join(candidates)}) in "
                f"{', '.join(map(str, columns))}. Name it in data.instructions.columns."
            )
    return found


def _split_text(text: str, template: InstructionTemplate, place: str) -> dict[str, str]:
    """Split a row that is one text in the form of the template, as in KoAlpaca v1.1."""
    prompt, split, answer = text.partition(template.split)
    if not split:
        raise UserError(
            f"{place}: no {template.split!r} in the text. Name its template in "
            "data.instructions.template."
        )
    before = template.without_input.partition("$instruction")[0].strip()
    instruction = prompt.strip().removeprefix(before).strip()
    found = dict.fromkeys(COLUMNS, "")
    answer = answer.replace("<|endoftext|>", "").strip()
    return found | {"instruction": instruction, "answer": answer}


def _rank(row: Instruction, seed: int) -> int:
    text = f"{seed}\0{row.task}\0{row.instruction}\0{row.input}\0{row.answer}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
