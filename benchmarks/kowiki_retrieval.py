"""How often a question finds its own passage, by length of passage and by query.

    python benchmarks/kowiki_retrieval.py DATA [--lengths 150 300]

DATA holds kobest/, korquad/ and kowiki/ (see docs/guides/kowiki.md). Prints tables in Markdown.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from solution.kowiki import Index, Passage, build, read_passages
from solution.kowiki.index import K1, B, write_index
from solution.kowiki.passages import pack, split_sentences

K = 10


class Task(NamedTuple):
    """A question and what tells whether a passage is the one it asks for."""

    query: str
    page_id: str
    answer: str
    distractors: tuple[str, ...] = ()
    other: str = ""
    """Another paragraph of the same article."""


def boolq(data: Path) -> tuple[list[Passage], list[Task]]:
    """KoBEST BoolQ: every paragraph of all splits, and the questions of the test split."""
    numbers: dict[str, str] = {}
    tasks = []
    for split in ("train", "dev", "test"):
        with gzip.open(data / f"kobest/BoolQ/{split}.tsv.gz", "rt", newline="") as stream:
            rows = csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
            for row in rows:
                text = row["Text"].strip()
                page = numbers.setdefault(text, f"boolq{len(numbers)}")
                if split == "test":
                    tasks.append(Task(row["Question"].strip(), page, ""))
    passages = [Passage(page, page, "", "", text) for text, page in numbers.items()]
    return passages, tasks


def korquad(data: Path) -> tuple[list[tuple[str, str, str]], list[Task]]:
    """KorQuAD dev: (id, title, paragraph), and the questions, each with three other answers."""
    with gzip.open(
        data / "korquad" / "KorQuAD_v1.0_dev.json.gz", "rt", encoding="utf-8"
    ) as file:
        articles = json.load(file)["data"]
    rng = random.Random(0)
    paragraphs, tasks = [], []
    for number, article in enumerate(articles):
        title = article["title"].replace("_", " ")
        texts = [paragraph["context"] for paragraph in article["paragraphs"]]
        answers = sorted(
            {q["answers"][0]["text"] for p in article["paragraphs"] for q in p["qas"]}
        )
        for place, paragraph in enumerate(article["paragraphs"]):
            page = f"korquad{number}.{place}"
            paragraphs.append((page, title, paragraph["context"]))
            for question in paragraph["qas"]:
                answer = question["answers"][0]["text"]
                others = [text for text in answers if text != answer]
                distractors = tuple(rng.sample(others, min(3, len(others))))
                other = texts[place - 1] if len(texts) > 1 else ""
                tasks.append(Task(question["question"], page, answer, distractors, other))
    return paragraphs, tasks


def found_at(index: Index, tasks: Sequence[Task], query: Callable[[Task], str]) -> list[int]:
    """The rank (from 1) of the first passage of the right page that holds the answer, or 0."""
    ranks = []
    for task in tasks:
        text = query(task)
        [hits] = index.search([text], K + 5)
        hits = [hit for hit in hits if hit.passage.text not in text][:K]
        right = (
            rank
            for rank, hit in enumerate(hits, 1)
            if hit.passage.page_id == task.page_id and task.answer in hit.passage.text
        )
        ranks.append(next(right, 0))
    return ranks


def row(name: str, ranks: Sequence[int], seconds: float, extra: str = "") -> str:
    """R@1, R@3, R@10 and MRR@10 as a row of a table."""
    n = len(ranks)
    recall = [sum(0 < rank <= k for rank in ranks) / n for k in (1, 3, 10)]
    mrr = sum(1 / rank for rank in ranks if rank) / n
    cells = [f"{value:.3f}" for value in (*recall, mrr)]
    return f"| {name} | {' | '.join(cells)} | {1e3 * seconds / n:.1f} |{extra}"


HEAD = "| {} | R@1 | R@3 | R@10 | MRR@10 | CPU ms/query |\n|---|--:|--:|--:|--:|--:|"


def measure(
    name: str,
    index: Index,
    tasks: Sequence[Task],
    query: Callable[[Task], str] = lambda task: task.query,
) -> str:
    start = time.process_time()
    ranks = found_at(index, tasks, query)
    return row(name, ranks, time.process_time() - start)


def indexed(passages: Sequence[Passage], **settings: float) -> Index:
    folder = Path(tempfile.mkdtemp(prefix="kowiki-"))
    write_index(passages, len(passages), folder / "index", **settings)
    return Index(folder / "index")


def cut(paragraphs: Sequence[tuple[str, str, str]], length: int) -> list[Passage]:
    """The paragraphs as `build` would cut them."""
    return [
        Passage(f"{page}-{number}", page, title, "", piece)
        for page, title, text in paragraphs
        for number, (piece, _) in enumerate(pack(split_sentences(text), length))
    ]


QUERIES: dict[str, Callable[[Task], str]] = {
    "question": lambda task: task.query,
    "question + choices": lambda task: " ".join([task.query, task.answer, *task.distractors]),
    "question + passage": lambda task: f"{task.query} {task.other}",
    "question + choices + passage": lambda task: " ".join(
        [task.query, task.answer, *task.distractors, task.other]
    ),
    "question x 3 + choices + passage": lambda task: " ".join(
        [*[task.query] * 3, task.answer, *task.distractors, task.other]
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--lengths", nargs="+", type=int, default=[150, 200, 300, 400])
    parser.add_argument("--every", type=int, default=1, help="use every n-th question only")
    options = parser.parse_args()

    passages, tasks = boolq(options.data)
    tasks = tasks[:: options.every]
    print(f"\nKoBEST BoolQ: {len(tasks)} questions, {len(passages)} passages\n")
    print(HEAD.format("setting"))
    for k1, b in ((K1, B), (0.9, 0.4), (1.2, 0.75)):
        index = indexed(passages, k1=k1, b=b)
        print(measure(f"k1 {k1}, b {b}", index, tasks), flush=True)

    paragraphs, tasks = korquad(options.data)
    tasks = tasks[:: options.every]
    extract = next(options.data.glob("kowiki/*.jsonl.gz"))
    folder = Path(tempfile.mkdtemp(prefix="kowiki-"))
    for length in options.lengths:
        wiki = list(read_passages(build(str(extract), folder / str(length), max_chars=length)))
        passages = cut(paragraphs, length) + wiki
        print(
            f"\nKorQuAD: {len(tasks)} questions, passages up to {length} characters: "
            f"{len(passages)} of them\n"
        )
        print(HEAD.format("query"))
        index = indexed(passages)
        queries = QUERIES if length == 300 else {"question": QUERIES["question"]}
        for name, query in queries.items():
            some = tasks if name == "question" else tasks[::5]
            print(measure(name, index, some, query), flush=True)


if __name__ == "__main__":
    main()
