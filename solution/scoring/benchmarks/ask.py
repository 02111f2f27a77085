"""One benchmark at one number of shots: what it reads, and a model's answers to it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from solution.core import Config, Progress, UserError, fingerprint, resolve_path, sha256_file
from solution.exam import Prompt, Question, near_duplicate_groups
from solution.scoring.benchmarks.korean import HUB, local_files, question_set, read_barred
from solution.scoring.benchmarks.rows import Answered, Encoding, Row, score_rows
from solution.scoring.encode import encode
from solution.scoring.requests import TokenCounts
from solution.scoring.score_cache import ScoreCache
from solution.scoring.scorer import ChoiceScores, score

if TYPE_CHECKING:
    from solution.models import LoadedModel

# Whose prompts: the harness's, the polyglot fork's, KoAlpaca's, or a prompt file of ours.
Family = Literal["harness", "polyglot", "koalpaca", "exam"]
ENCODINGS: dict[str, Encoding] = {
    "harness": "joined",
    "polyglot": "apart",
    "koalpaca": "joined",
}
# What a row's answer is: the likeliest choice, or the likeliest for its length in characters.
Rule = Literal["likeliest", "by_length"]


class Benchmark(Config):
    """What is asked of a model; `data` is a folder, the hub where it is None.

    `fixed`: all rows get the same shots; `limit`: only so many rows of each part of the task;
    `exclude`: files that list what may not be asked. `file` and `prompt` are for family exam.
    """

    task: str
    family: Family
    shots: int
    fixed: bool
    rule: Rule
    limit: int | None = None
    data: str | None = None
    file: str | None = None
    exclude: list[str] = Field(default=[])
    prompt: Prompt | None = None

    @property
    def folder(self) -> Path | None:
        """The folder of local data, looked up as all paths of YAML files are."""
        return resolve_path(self.data) if self.data is not None else None

    @property
    def at_hand(self) -> bool:
        """Whether its rows can be looked for: local files are there, or the hub has the set."""
        if self.data is not None:
            return bool(self.files())
        return self.family != "exam" or self.task in HUB

    def files(self) -> list[Path]:
        """The local files it reads; none where it reads the hub's or they are not there."""
        if self.folder is None:
            return []
        if self.family == "exam":
            return local_files(self.file, self.folder)
        folder = self.folder / self.task.partition("_")[0]  # kobest_copa reads kobest/
        return sorted(path for path in folder.rglob("*") if path.is_file())

    def inputs(self) -> dict[str, Any]:
        """All that decides what is asked, files by their content."""
        import importlib.metadata

        return {
            **self.model_dump(mode="json", exclude={"data", "file", "exclude"}),
            "data": [sha256_file(path) for path in self.files()] or "hub",
            "exclude": [sha256_file(resolve_path(file)) for file in self.exclude],
            "lm_eval": importlib.metadata.version("lm_eval"),
        }


@dataclass(frozen=True)
class Given:
    """A model's answers to a benchmark: rows, what it answered, and what that took.

    `spontaneous` says of each row whether the model would say the chosen text by itself.
    """

    rows: list[Row]
    scored: list[ChoiceScores]
    spontaneous: list[bool]
    truncated: int
    excluded: int


def ask(
    loaded: LoadedModel,
    benchmark: Benchmark,
    *,
    batch_tokens: int,
    cache: ScoreCache,
    work: TokenCounts,
    label: str,
) -> Given:
    """Ask a model all rows of a benchmark; raises UserError where its rows cannot be had."""
    barred = read_barred([resolve_path(file) for file in benchmark.exclude])
    if benchmark.family == "exam":
        how = (batch_tokens, cache, work)
        return _ask_exam(loaded, benchmark, barred.bars, how, label)
    everything = benchmark_rows(benchmark, loaded.tokenizer)
    rows = [row for row in everything if row.id not in barred.ids]
    _some(rows, label)
    progress = Progress(label, len(rows), "rows")
    answered, truncated = score_rows(
        loaded,
        rows,
        ENCODINGS[benchmark.family],
        batch_tokens=batch_tokens,
        cache=cache,
        work=work,
        on_rows=progress.advance,
    )
    scored = [
        decide(row, values, benchmark.rule) for row, values in zip(rows, answered, strict=True)
    ]
    said = [values[s.answer - 1][1] for values, s in zip(answered, scored, strict=True)]
    return Given(rows, scored, said, truncated, len(everything) - len(rows))


def benchmark_rows(benchmark: Benchmark, tokenizer: Any) -> list[Row]:
    """The rows of a benchmark (not of family exam) with their shots."""
    from solution.scoring.benchmarks.harness_rows import harness_rows
    from solution.scoring.benchmarks.nsmc import nsmc_rows
    from solution.scoring.benchmarks.polyglot import polyglot_rows

    name, shots, data = benchmark.task, benchmark.shots, benchmark.folder
    fixed, limit = benchmark.fixed, benchmark.limit
    if benchmark.family == "koalpaca":
        return nsmc_rows(name, shots, data, tokenizer, fixed=fixed, limit=limit)
    make = harness_rows if benchmark.family == "harness" else polyglot_rows
    return make(name, shots, data, fixed=fixed, limit=limit)


def _ask_exam(
    loaded: LoadedModel,
    benchmark: Benchmark,
    bars: Callable[[Question], bool],
    how: tuple[int, ScoreCache, TokenCounts],
    label: str,
) -> Given:
    assert benchmark.prompt is not None
    everything = question_set(benchmark.task, benchmark.file, benchmark.folder)
    questions = [q for q in everything if not bars(q)][: benchmark.limit]
    _some(questions, label)
    groups = near_duplicate_groups(questions)
    rows = [
        Row(q.id, "", (), q.answer or 0, group=str(group), subject=q.subject)
        for q, group in zip(questions, groups, strict=True)
    ]
    encoded = encode(questions, benchmark.prompt, loaded.tokenizer, loaded.max_length)
    progress = Progress(label, len(rows), "questions")
    scored: list[ChoiceScores] = []
    batch_tokens, cache, work = how
    order = sorted(range(len(encoded)), key=lambda i: (encoded[i].prompt_ids, i))
    for start in range(0, len(order), 64):
        part = [encoded[i] for i in order[start : start + 64]]
        scored += score(loaded, part, batch_tokens=batch_tokens, counts=work, cache=cache)
        progress.advance(len(part))
    by_place = dict(zip(order, scored, strict=True))
    return Given(
        rows,
        [by_place[i] for i in range(len(rows))],
        [],
        sum(one.truncated_tokens > 0 for one in encoded),
        sum(bars(question) for question in everything),
    )


def _some(rows: list[Any], label: str) -> None:
    if not rows:
        raise UserError(f"{label}: no row is left to ask. Mend `exclude` or the data.")


def decide(row: Row, answered: list[Answered], rule: Rule) -> ChoiceScores:
    """The row's answer: of the choices' log-likelihoods, over their characters where so ruled.

    Probabilities are those values' softmax; of equal values the first wins, as in the harness.
    """
    values = [total for total, _ in answered]
    if rule == "by_length":
        pairs = zip(values, row.lengths, strict=True)
        values = [value / max(1, length) for value, length in pairs]
    top = max(values)
    total = top + math.log(sum(math.exp(value - top) for value in values))
    logs = tuple(value - total for value in values)
    probability = tuple(math.exp(value) for value in logs)
    best, second = sorted(probability, reverse=True)[:2]
    return ChoiceScores(row.id, logs, probability, 1 + values.index(top), best - second)


def rows_mark(rows: list[Row]) -> str:
    """A fingerprint of the rows as they were asked."""
    return fingerprint([(row.id, row.context, row.choices, row.answer) for row in rows])
