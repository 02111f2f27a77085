"""The harness's own tasks give the same scores on our engine as on its own model."""

from pathlib import Path

import pytest

lm_eval = pytest.importorskip("lm_eval")

TASKS = {
    "kobest_boolq": 0,
    "kobest_copa": 2,
    "kobest_hellaswag": 0,
    "kobest_sentineg": 3,
    "kobest_wic": 1,
    "mmlu_anatomy": 5,
    "arc_challenge": 1,
    "hellaswag": 1,
    "truthfulqa_mc1": 0,
    "truthfulqa_mc2": 0,
}


@pytest.fixture(scope="module")
def qwen(shared_data, tmp_path_factory):
    """A few thousand random weights behind the real tokenizer, with very unequal logits."""
    from conftest import save_tiny_qwen
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(shared_data / "tokenizers" / "qwen2.5")
    return save_tiny_qwen(tmp_path_factory.mktemp("qwen"), tokenizer, initializer_range=0.5)


def both(folder: Path):
    from lm_eval.models.huggingface import HFLM

    from solution.scoring.harness import ExamQA

    options = {"pretrained": str(folder), "device": "cpu", "dtype": "float32"}
    return HFLM(**options, batch_size=4), ExamQA(**options)


@pytest.fixture(scope="module")
def results(qwen, shared_data):
    """What both models make of all tasks: (theirs, ours)."""
    from lm_eval.tasks import TaskManager

    from solution.scoring.local_tasks import local_tasks

    manager = TaskManager()
    return [
        lm_eval.simple_evaluate(
            model=model,
            tasks=[local_tasks(TASKS, shared_data)],
            task_manager=manager,
            limit=6,
            bootstrap_iters=0,
        )
        for model in both(qwen)
    ]


@pytest.mark.parametrize("task", TASKS)
def test_scores_and_log_likelihoods_equal_those_of_the_harness(task, results):
    expected, found = results
    assert found["n-shot"][task] == TASKS[task]
    assert found["results"][task] == pytest.approx(expected["results"][task], abs=1e-6)
    pairs = zip(found["samples"][task], expected["samples"][task], strict=True)
    for mine, other in pairs:
        for (value, greedy), (slow, slow_greedy) in zip(
            mine["filtered_resps"], other["filtered_resps"], strict=True
        ):
            assert value == pytest.approx(slow, abs=1e-4)
            assert greedy == slow_greedy


def test_the_likelihood_of_a_long_text_equals_the_harness_in_windows(qwen):
    from lm_eval.api.instance import Instance

    theirs, ours = both(qwen)
    texts = ["다음 글을 읽고 물음에 답하시오. " * 5, "ab"]
    asked = [Instance("loglikelihood_rolling", {}, (text,), i) for i, text in enumerate(texts)]
    for model in (theirs, ours):
        model._max_length = 16
    assert ours.loglikelihood_rolling(asked, disable_tqdm=True) == pytest.approx(
        theirs.loglikelihood_rolling(asked, disable_tqdm=True), abs=1e-3
    )
