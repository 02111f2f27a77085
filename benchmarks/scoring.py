"""Times this project's scoring and lm-evaluation-harness on the same model, rows and threads.

    python benchmarks/scoring.py --data FOLDER --tokenizer FOLDER [--rows 48] [--layers 24]

Prints one table; runs alternate, the median counts. The model has the Qwen2.5-0.5B geometry and
random weights; with fewer layers or a narrower one it is named so. The share is that of the
faster product, in the model's dtype or in float32.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from solution.exam import Question, load_prompt, read_exam
from solution.models import ChatTemplate
from solution.scoring import (
    BenchmarkTask,
    Encoded,
    TokenCounts,
    encode,
    load_tasks,
    log_likelihoods,
    score_model,
)

Pair = tuple[tuple[int, ...], tuple[int, ...]]
Timed = tuple[float, list[float]]


def make_model(layers: int, hidden: int, dtype: str) -> Any:
    """Random weights in the geometry of Qwen2.5-0.5B, or with fewer layers or narrower."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=151936,
        hidden_size=hidden,
        intermediate_size=4864 * hidden // 896,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 64,
        num_key_value_heads=2,
        max_position_embeddings=32768,
        tie_word_embeddings=True,
        rope_theta=1e6,
    )
    return Qwen2ForCausalLM(config).to(getattr(torch, dtype)).eval()


def product_rate(model: Any, dtype: str) -> float:
    """The best rate of a plain product with the widest matrix of a layer, in FLOP/s."""
    import torch

    widest = model.model.layers[0].mlp.up_proj.weight.detach().to(getattr(torch, dtype))
    left = torch.randn(1024, widest.shape[1]).to(widest.dtype)
    best = 0.0
    for _ in range(20):
        start = time.perf_counter()
        torch.nn.functional.linear(left, widest)
        best = max(best, 2 * 1024 * widest.numel() / (time.perf_counter() - start))
    return best


def pairs_of(encoded: Sequence[Encoded]) -> list[Pair]:
    """What the harness is asked: one context and continuation for each choice."""
    return [(one.prompt_ids, answer) for one in encoded for answer in one.label_ids]


def normalised(encoded: Sequence[Encoded], sums: Sequence[float]) -> list[float]:
    """Log-probabilities over each row's own choices."""
    import torch

    values, rest = [], list(sums)
    for one in encoded:
        own, rest = rest[: len(one.label_ids)], rest[len(one.label_ids) :]
        values += torch.tensor(own).double().log_softmax(0).tolist()
    return values


def timed(run: Callable[[], list[float]]) -> Timed:
    """Seconds, and what the run gave."""
    start = time.perf_counter()
    given = run()
    return time.perf_counter() - start, given


def compare(
    name: str,
    ours: Callable[[TokenCounts], list[float]],
    theirs: Callable[[], list[float]],
    *,
    runs: int,
    flop_a_token: float,
    rate: float,
) -> None:
    """Alternate the two, then print one row of the table."""
    mine: list[Timed] = []
    others: list[Timed] = []
    for _ in range(runs):
        counts = TokenCounts()
        mine.append(timed(lambda counts=counts: ours(counts)))  # type: ignore[misc]
        others.append(timed(theirs))
    seconds = statistics.median(s for s, _ in mine)
    other = statistics.median(s for s, _ in others)
    apart = max(abs(a - b) for a, b in zip(mine[0][1], others[0][1], strict=True))
    share = counts.tokens_computed * flop_a_token / seconds / rate
    print(
        f"| {name} | {other:.1f} s | {seconds:.1f} s | {other / seconds:.1f} | {apart:.1e} "
        f"| {counts.tokens_computed} | {share:.2f} |",
        flush=True,
    )


def copa(data: Path, tokenizer: Any, rows: int, shots: int, *, same: bool) -> list[Pair]:
    """KoBEST COPA in the harness's own words; shots drawn for each row, or once for all."""
    (task,) = load_tasks(BenchmarkTask(task="kobest_copa", data=str(data)), tokenizer)
    train, rng = list(task.training_docs()), random.Random(42)
    fixed = rng.sample(train, shots)
    pairs = []
    for row in list(task.test_docs())[:rows]:
        drawn = fixed if same else rng.sample(train, shots)
        head = "".join(f"{_asked(r)} {_right(r)}\n\n" for r in drawn) + _asked(row)
        context = tuple(tokenizer(head).input_ids)
        for choice in (row["alternative_1"], row["alternative_2"]):
            pairs.append((context, tuple(tokenizer(" " + choice).input_ids)))
    return pairs


def _asked(row: dict[str, Any]) -> str:
    return f"{row['premise']} {'왜냐하면' if row['question'] == '원인' else '그래서'}"


def _right(row: dict[str, Any]) -> str:
    return str(row["alternative_2" if row["label"] else "alternative_1"])


def endings(data: Path, tokenizer: Any, rows: int) -> list[Pair]:
    """KoBEST HellaSwag without shots: four endings behind each context."""
    (task,) = load_tasks(BenchmarkTask(task="kobest_hellaswag", data=str(data)), tokenizer)
    pairs = []
    for row in list(task.test_docs())[:rows]:
        context = tuple(tokenizer(f"문장: {row['context']}").input_ids)
        for i in range(1, 5):
            pairs.append((context, tuple(tokenizer(" " + row[f"ending_{i}"]).input_ids)))
    return pairs


def rotations(question: Question, count: int) -> list[Question]:
    """The question with its choices in several cyclic orders."""
    turned = [question.choices[i:] + question.choices[:i] for i in range(count)]
    return [replace(question, choices=choices) for choices in turned]


def main() -> None:
    """Parse, run every row of the table, print."""
    options = _options()
    import torch
    from lm_eval.models.huggingface import HFLM
    from transformers import AutoTokenizer

    torch.set_num_threads(options.threads)
    tokenizer = AutoTokenizer.from_pretrained(options.tokenizer)
    model = make_model(options.layers, options.hidden, options.dtype)
    harness = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=options.batch)
    rates = {dtype: product_rate(model, dtype) for dtype in ("float32", options.dtype)}
    rate = max(rates.values())
    flop = 2 * sum(p.numel() for p in model.model.layers.parameters())
    print(
        f"Qwen2.5-0.5B geometry, {options.layers} layers of width {options.hidden}, "
        f"{options.dtype}, {options.threads} threads, median of {options.runs}, "
        + ", ".join(
            f"product in {name} {one / 1e12:.3f} TFLOP/s" for name, one in rates.items()
        )
    )
    print(
        "| work | harness | ours | times | largest difference | tokens computed "
        "| share of the product rate |\n" + "|---" * 7 + "|"
    )

    def theirs(pairs: list[Pair]) -> list[float]:
        asked = [(("", ""), list(context), list(tail)) for context, tail in pairs]
        return [v for v, _ in harness._loglikelihood_tokens(asked, disable_tqdm=True)]

    def run(name: str, encoded: list[Encoded]) -> None:
        compare(
            name,
            lambda counts: [
                value
                for one in score_model(model, encoded, options.batch_tokens, counts=counts)
                for value in one.log_likelihood
            ],
            lambda: normalised(encoded, theirs(pairs_of(encoded))),
            runs=options.runs,
            flop_a_token=flop,
            rate=rate,
        )

    def run_pairs(name: str, pairs: list[Pair]) -> None:
        compare(
            name,
            lambda counts: [
                v for v, _ in log_likelihoods(model, pairs, options.batch_tokens, counts=counts)
            ],
            lambda: theirs(pairs),
            runs=options.runs,
            flop_a_token=flop,
            rate=rate,
        )

    questions = read_exam(options.data / "competition" / "test.csv").questions[: options.rows]
    prompt = load_prompt("contest")
    digits = encode(questions, prompt, ChatTemplate(tokenizer, "m"), 32768)
    brackets = prompt.model_copy(update={"answer": "($label)"})
    works: dict[str, Callable[[], None]] = {
        "digits": lambda: run(f"test.csv, {len(questions)} rows, digits", digits),
        "brackets": lambda: run(
            f"test.csv, {len(questions)} rows, (1)…(5)",
            encode(questions, brackets, ChatTemplate(tokenizer, "m"), 32768),
        ),
        "hellaswag": lambda: run_pairs(
            f"KoBEST HellaSwag 0-shot, {options.kobest_rows} rows",
            endings(options.data, tokenizer, options.kobest_rows),
        ),
        "copa": lambda: run_pairs(
            f"KoBEST COPA 50-shot, {options.kobest_rows // 4} rows, shots for each",
            copa(options.data, tokenizer, options.kobest_rows // 4, 50, same=False),
        ),
        "copa-same": lambda: run_pairs(
            f"KoBEST COPA 50-shot, {options.kobest_rows} rows, the same shots",
            copa(options.data, tokenizer, options.kobest_rows, 50, same=True),
        ),
    }
    for name, one in works.items():
        if not options.only or name in options.only:
            one()
    if not options.only or "orders" in options.only:
        print(orders(model, questions, tokenizer, options))


def orders(model: Any, questions: Sequence[Question], tokenizer: Any, options: Any) -> str:
    """Five orders of the choices in one tree against five single runs of ours."""
    prompt = load_prompt("contest")
    turned = [rotations(question, 5) for question in questions if len(question.choices) == 5]
    single = [
        encode([five[i] for five in turned], prompt, ChatTemplate(tokenizer, "m"), 32768)
        for i in range(5)
    ]
    ways = [[[one for encoded in single for one in encoded]], single]
    seconds: list[list[float]] = [[], []]
    for _ in range(options.runs):
        works = [TokenCounts(), TokenCounts()]
        for way, counts, taken in zip(ways, works, seconds, strict=True):
            start = time.perf_counter()
            for encoded in way:
                score_model(model, encoded, options.batch_tokens, counts=counts)
            taken.append(time.perf_counter() - start)
    together, apart = (statistics.median(some) for some in seconds)
    return (
        f"\n5 orders of the choices of {len(turned)} rows: {together:.1f} s in one tree "
        f"({works[0].tokens_computed} tokens), {apart:.1f} s in 5 single runs of ours "
        f"({works[1].tokens_computed} tokens): {apart / together:.1f} times"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="competition/ and kobest/")
    parser.add_argument("--tokenizer", type=Path, required=True, help="Qwen2.5's")
    parser.add_argument("--rows", type=int, default=48)
    parser.add_argument("--kobest-rows", type=int, default=100)
    parser.add_argument("--layers", type=int, default=24)
    parser.add_argument("--hidden", type=int, default=896, help="width, a multiple of 128")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=4, help="rows a batch of the harness")
    parser.add_argument("--batch-tokens", type=int, default=4096, help="tokens a batch of ours")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=[])
    return parser.parse_args()


if __name__ == "__main__":
    main()
