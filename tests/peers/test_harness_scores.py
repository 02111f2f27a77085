"""The harness's own tasks give the same scores on our engine as on its own model."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

lm_eval = pytest.importorskip("lm_eval")

ROOT = Path(__file__).resolve().parents[2]
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
    from tiny import tiny_model
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(shared_data / "tokenizers" / "qwen2.5")
    folder = tmp_path_factory.mktemp("qwen")
    tiny_model("qwen2", tokenizer, max_position_embeddings=4096).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def both(folder: Path):
    from lm_eval.models.huggingface import HFLM

    from solution.scoring.lm_eval_model import ExamQA

    options = {"pretrained": str(folder), "device": "cpu", "dtype": "float32"}
    return HFLM(**options, batch_size=4), ExamQA(**options)


@pytest.fixture(scope="module")
def results(qwen, shared_data):
    """What both models make of all tasks: (theirs, ours)."""
    from solution.scoring import BenchmarkTask, load_tasks

    names = [
        BenchmarkTask(task=task, num_fewshot=shots, data=str(shared_data))
        for task, shots in TASKS.items()
    ]
    return [
        lm_eval.simple_evaluate(
            model=model,
            tasks=[one for name in names for one in load_tasks(name, model.tokenizer)],
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


def test_the_command_line_of_the_harness_knows_our_model(qwen, tmp_path):
    """An own task on a file of the test's, so that nothing is asked of the network."""
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"question": "2+2=", "choices": ["3", "4"], "answer": 1}\n' * 3)
    tasks = tmp_path / "tasks"
    tasks.mkdir()
    (tasks / "little.yaml").write_text(
        "task: little\ndataset_path: json\n"
        f"dataset_kwargs: {{data_files: {{test: {rows}}}}}\ntest_split: test\n"
        "output_type: multiple_choice\ndoc_to_text: '{{question}}'\n"
        "doc_to_choice: choices\ndoc_to_target: answer\nmetric_list: [{metric: acc}]\n"
    )
    arguments = ["run", "--model", "exam-qa", "--tasks", "little", "--device", "cpu"]
    arguments += ["--model_args", f"pretrained={qwen},dtype=float32"]
    done = subprocess.run(
        [sys.executable, "-m", "solution", "harness", *arguments, "--include_path", str(tasks)],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HF_HOME": str(tmp_path / "hub")},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "exam-qa" in done.stdout and "little" in done.stdout
