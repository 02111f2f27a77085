"""Functions of the task YAML files: rows of local files, the studies' prompts and draws."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any

from datasets import Dataset, DatasetDict, load_dataset
from lm_eval.api.task import ConfigurableTask
from lm_eval.utils import general_detokenize

Doc = dict[str, Any]

POLYGLOT_SEED = 42
NSMC_URL = "https://raw.githubusercontent.com/e9t/nsmc/master/ratings_{}.txt"
NSMC_ROWS, NSMC_SEED = 500, 1234


class PolyglotTask(ConfigurableTask):  # type: ignore[misc]
    """A task in the order of rows and shots of Beomi/ko-lm-evaluation-harness.

    A stream seeded with 42 shuffles the test rows and then draws the shots of row after row.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config={k: v for k, v in config.items() if k != "class"})

    def test_docs(self) -> Dataset:
        """Return the shuffled test rows; `row` is a row's number in the file."""
        docs = super().test_docs()
        return docs.add_column("row", list(range(len(docs)))).select(
            self._shuffle(len(docs))[0]
        )

    def set_fewshot_seed(self, seed: int | None = None) -> None:
        """Restart the stream behind the shuffle, whatever `seed` is."""
        super().set_fewshot_seed(seed)
        self.sampler.rnd = self._shuffle(len(self.eval_docs))[1]

    @staticmethod
    def _shuffle(rows: int) -> tuple[list[int], Random]:
        order, stream = list(range(rows)), Random(POLYGLOT_SEED)
        stream.shuffle(order)
        return order, stream


def _convert(dataset: Dataset, convert: Callable[[Doc], Doc]) -> Dataset:
    return dataset.map(convert, remove_columns=dataset.column_names)


def _is_true(value: Any) -> int:
    """KoBEST writes True, TRUE, False and FALSE within one file."""
    return ("FALSE", "TRUE").index(str(value).strip().upper())


def kobest_boolq(dataset: Dataset) -> Dataset:
    """Return BoolQ's TSV rows with the hub's columns."""
    return _convert(
        dataset,
        lambda row: {
            "paragraph": row["Text"],
            "question": row["Question"],
            "label": _is_true(row["Answer"]),
        },
    )


def kobest_copa(dataset: Dataset) -> Dataset:
    """Return COPA's TSV rows with the hub's columns."""
    return _convert(
        dataset,
        lambda row: {
            "premise": row["sentence"],
            "question": row["question"].strip(),
            "alternative_1": str(row["1"]),
            "alternative_2": str(row["2"]),
            "label": int(row["Answer"]) - 1,
        },
    )


def kobest_hellaswag(dataset: Dataset) -> Dataset:
    """Return HellaSwag's TSV rows with the hub's columns, and those that the harness adds."""
    from lm_eval.tasks.kobest.utils import hellaswag_process_doc

    endings = {f"choice{i}": f"ending_{i}" for i in range(1, 5)}
    return hellaswag_process_doc(dataset.rename_columns(endings))


def kobest_sentineg(dataset: Dataset) -> Dataset:
    """Return SentiNeg's TSV rows with the hub's columns."""
    return _convert(dataset, lambda row: {"sentence": row["Text"], "label": int(row["Label"])})


def kobest_wic(dataset: Dataset) -> Dataset:
    """Return WiC's TSV rows with the hub's columns."""
    return _convert(
        dataset,
        lambda row: {
            "word": row["Target"],
            "context_1": row["SENTENCE1"],
            "context_2": row["SENTENCE2"],
            "label": _is_true(row["ANSWER"]),
        },
    )


def mmlu(dataset: Dataset) -> Dataset:
    """Return MMLU's parquet rows with the hub's columns."""
    return _convert(
        dataset,
        lambda row: {
            "question": row["question"],
            "choices": [row[f"choice{i}"] for i in range(4)],
            "answer": row["answer"],
        },
    )


def arc(dataset: Dataset) -> Dataset:
    """Return ARC's JSON lines with the hub's columns."""
    return _convert(
        dataset,
        lambda row: {
            "question": row["question"]["stem"],
            "choices": {
                key: [choice[key] for choice in row["question"]["choices"]]
                for key in ("text", "label")
            },
            "answerKey": row["answerKey"],
        },
    )


def hellaswag(dataset: Dataset) -> Dataset:
    """Return HellaSwag's JSON lines as the harness processes the hub's rows."""
    from lm_eval.tasks.hellaswag.utils import process_docs

    def split_query(row: Doc) -> Doc:
        activity, _, context = row["query"].partition(": ")
        return {
            "activity_label": activity,
            "ctx_a": context,
            "ctx_b": "",
            "endings": row["choices"],
            "label": str(row["gold"]),
        }

    return process_docs(_convert(dataset, split_query))


def truthfulqa(data_files: Mapping[str, str], **_: Any) -> DatasetDict:
    """Read TruthfulQA's JSON, in which answers are keys, as the hub's multiple-choice rows."""
    raw = Path(data_files["validation"]).read_bytes()
    names = ("mc1_targets", "mc2_targets")
    rows = [
        {
            "question": row["question"],
            **{n: {"choices": list(row[n]), "labels": list(row[n].values())} for n in names},
        }
        for row in json.loads(gzip.decompress(raw))
    ]
    return DatasetDict(validation=Dataset.from_list(rows))


def nsmc(data_files: Mapping[str, str] | None = None, **_: Any) -> DatasetDict:
    """Read Naver's film reviews that have text, from local files or from their publisher.

    Without a training file, the second half of the test reviews gives the shots and only the
    first half is scored, so that no review is both.
    """
    files = data_files or {split: NSMC_URL.format(split) for split in ("train", "test")}
    reviews = load_dataset(
        "csv", data_files=dict(files), delimiter="\t", quoting=3, na_filter=False
    ).filter(lambda row: bool(row["document"]))
    reviews = reviews.map(
        lambda row: {"row_id": f"nsmc-{row['id']}", "document": str(row["document"])}
    )
    if "train" in reviews:
        return reviews
    test, half = reviews["test"], len(reviews["test"]) // 2
    return DatasetDict(train=test.select(range(half, len(test))), test=test.select(range(half)))


def nsmc_sample(dataset: Dataset) -> Dataset:
    """Draw the study's 500 reviews: pandas' `sample(500, random_state=1234)`."""
    import pandas as pd

    if len(dataset) <= NSMC_ROWS:
        return dataset
    rows = pd.Series(range(len(dataset))).sample(NSMC_ROWS, random_state=NSMC_SEED)
    return dataset.select(rows.tolist())


def unchanged(dataset: Dataset) -> Dataset:
    """Return the rows that shots are drawn from as they are."""
    return dataset


def nsmc_prompt1(doc: Doc) -> str:
    """Return the study's first prompt."""
    return f"문장: {_korean(doc['document'])}\n감정:"


def nsmc_prompt2(doc: Doc) -> str:
    """Return the study's second prompt."""
    return f"다음 문장은 긍정일까요 부정일까요?\n{_korean(doc['document'])}\n정답:"


# The fork's prompts. Functions, because a template per shot takes longer than a small model.
def polyglot_boolq(doc: Doc) -> str:
    """Return the fork's prompt for BoolQ."""
    asked = "다음 문장이 내용에 있는 사실과 일치하는가?"
    return f"내용: {doc['paragraph']}\n질문: {asked}\n문장: {doc['question']}\n응답: "


def polyglot_copa(doc: Doc) -> str:
    """Return the fork's prompt for COPA: the premise and a connective."""
    return f"{doc['premise']} {'왜냐하면' if doc['question'].strip() == '원인' else '그래서'}"


def copa_choices(doc: Doc) -> list[str]:
    """Return COPA's alternatives."""
    return [doc["alternative_1"], doc["alternative_2"]]


def hellaswag_choices(doc: Doc) -> list[str]:
    """Return the endings of KoBEST's HellaSwag."""
    return [doc[f"ending_{i}"] for i in range(1, 5)]


def polyglot_wic(doc: Doc) -> str:
    """Return the fork's prompt for WiC."""
    asked = f"문장1과 문장2에서 쓰인 단어 [{doc['word']}]가 같은 뜻으로 쓰였나?"
    return f"문장1: {doc['context_1']}\n문장2: {doc['context_2']}\n질문: {asked}\n응답: "


def polyglot_review(doc: Doc) -> str:
    """Return a film review as the fork shows it."""
    return str(general_detokenize(doc["document"]))


def _korean(text: str) -> str:
    return re.sub(r"[^가-힣ㄱ-ㅎㅏ-ㅣ\s]", "", text)
