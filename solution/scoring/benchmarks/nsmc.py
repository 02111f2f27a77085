"""Naver's film reviews: the files, and the few-shot test of the KoAlpaca line of models.

The test is the one of K(G)OAT (github.com/Marker-Inc-Korea/K-G-OAT, taken from KoAlpaca):
500 reviews drawn with seed 1234, ten shots each from the training reviews of at most 25 tokens,
only Korean letters and spaces kept, and two prompts.
"""

from __future__ import annotations

import csv
import gzip
import io
import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from solution.core import UserError, log
from solution.scoring.benchmarks.hub import from_hub
from solution.scoring.benchmarks.rows import Row

SOURCE = "https://raw.githubusercontent.com/e9t/nsmc/master/"
TRAIN, TEST = "ratings_train.txt", "ratings_test.txt"
SEED = 1234
SAMPLE = 500
SHOT_TOKENS = 25
LABELS = (" 부정", " 긍정")
PROMPTS: dict[str, Callable[[str], str]] = {
    "nsmc_prompt1": lambda text: f"문장: {text}\n감정:",
    "nsmc_prompt2": lambda text: f"다음 문장은 긍정일까요 부정일까요?\n{text}\n정답:",
}

Doc = dict[str, Any]


def read_nsmc(data: Path | None) -> tuple[list[Doc], list[Doc]]:
    """Training and test reviews with text, from `data`/nsmc or where they were published.

    Without a training file there, shots come from the test reviews that nobody asks: those
    behind the even half, so that no review is both; a line says so.
    Raises UserError where the files are absent or faulty.
    """
    if data is None:
        return _published(TRAIN), _published(TEST)
    test = _local(data / "nsmc", TEST)
    try:
        return _local(data / "nsmc", TRAIN), test
    except UserError:
        log(f"nsmc: no {TRAIN} there; the second half of {TEST} gives the shots instead")
        half = len(test) // 2
        return test[half:], test[:half]


def nsmc_rows(
    name: str,
    shots: int,
    data: Path | None,
    tokenizer: Any,
    *,
    fixed: bool,
    limit: int | None,
) -> list[Row]:
    """The study's rows for one of its prompts; `fixed`: the first row's shots for all rows."""
    if name not in PROMPTS:
        raise UserError(f"{name}: no prompt of family koalpaca; it has {', '.join(PROMPTS)}.")
    train, test = read_nsmc(data)
    short = [doc for doc, size in zip(train, _sizes(train, tokenizer), strict=True) if size]
    if len(short) < shots:
        raise UserError(f"{name}: {len(short)} training reviews are short enough for shots.")
    stream = random.Random(SEED)
    # The study draws all shots first, then the rows: 500 draws whatever is asked of them.
    draws = [stream.sample(short, shots) for _ in range(SAMPLE)]
    rows = []
    for place, number in enumerate(_sampled(len(test))[:limit]):
        shown = draws[0] if fixed else draws[place]
        rows.append(_row(name, number, test[number], shown))
    return rows


def _sizes(docs: Sequence[Doc], tokenizer: Any) -> list[bool]:
    """Which reviews have few enough tokens to be shots."""
    ids = tokenizer([doc["document"] for doc in docs])["input_ids"]
    return [len(one) <= SHOT_TOKENS for one in ids]


def _sampled(number: int) -> list[int]:
    """The places of the study's rows: pandas draws as `DataFrame.sample(random_state=1234)`."""
    import pandas as pd

    places = pd.Series(range(number))
    if number > SAMPLE:
        places = places.sample(SAMPLE, random_state=SEED)
    return [int(place) for place in places]


def _row(name: str, number: int, doc: Doc, shots: Sequence[Doc]) -> Row:
    ask = PROMPTS[name]
    shown = "".join(
        f"{ask(_cleaned(shot['document']))}{LABELS[shot['label']]}\n" for shot in shots
    )
    return Row(
        id=f"nsmc-{doc['id']}",
        context=shown + ask(_cleaned(doc["document"])),
        choices=LABELS,
        answer=1 + doc["label"],
    )


def _cleaned(text: str) -> str:
    return re.sub(r"[^가-힣ㄱ-ㅎㅏ-ㅣ\s]", "", text)


def _local(folder: Path, name: str) -> list[Doc]:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            raw = path.read_bytes()
            return _docs(gzip.decompress(raw) if path.suffix == ".gz" else raw, str(path))
    raise UserError(f"{folder / name}: not there. Give the folder that holds nsmc/{name}.")


def _published(name: str) -> list[Doc]:
    """The file at its publisher's, through the cache that data sets of the hub have too."""
    from datasets import DownloadManager

    with from_hub(SOURCE + name):
        path = Path(DownloadManager().download(SOURCE + name))
    return _docs(path.read_bytes(), name)


def _docs(raw: bytes, place: str) -> list[Doc]:
    """The rows of a TSV without quoting but those without text, as the study has them."""
    try:
        stream = io.StringIO(raw.decode("utf-8"), newline="")
        rows = list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
        return [
            {"id": row["id"], "document": row["document"], "label": int(row["label"])}
            for row in rows
            if row["document"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{place}: not as expected ({error!r}): a TSV of id, document, label."
        ) from error
