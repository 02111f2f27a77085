"""Benchmarks through lm-evaluation-harness: prompts, shots, scores, resuming."""

import random

import pytest
from benchmark_files import copa_row, write_arc, write_kobest, write_reviews
from tiny import tiny_model, tiny_tokenizer

from solution.core import UserError
from solution.models import LoadedModel, ModelReference
from solution.scoring import BenchmarkTask, ScoreCache, evaluate_benchmark, load_tasks

pytest.importorskip("lm_eval")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = write_kobest(tmp_path_factory.mktemp("data"))
    write_arc(folder)
    return folder


def requests(task, tokenizer=None, limit=None):
    """The (context, choices, answer) of every row, as the harness builds them."""
    (loaded,) = load_tasks(task, tokenizer)
    loaded.set_fewshot_seed(1234)
    loaded.build_all_requests(limit=limit, rank=0, world_size=1)
    rows = {}
    for one in loaded.instances:
        rows.setdefault(one.doc_id, []).append(one)
    return [
        (some[0].args[0], [one.args[1] for one in some], 1 + loaded.doc_to_target(some[0].doc))
        for some in rows.values()
    ]


def polyglot(name, shots, data, **more):
    return BenchmarkTask(
        task=name, prompt_family="polyglot", num_fewshot=shots, data=str(data), **more
    )


def test_the_forks_copa_separates_the_answer_of_a_shot_but_not_the_scored_one(data):
    context, choices, answer = requests(polyglot("kobest_copa", 1, data))[0]
    shot, asked = context.split("\n\n")
    number = int(asked.split("번")[0].removeprefix("비가 "))
    sentence, question, one, two, right = copa_row(number)
    connector = {"원인": "왜냐하면", "결과": "그래서"}[question.strip()]
    assert asked == f"{sentence} {connector}"
    assert (choices, answer) == ([one, two], right)
    assert any(
        shot in (f"{s} 왜냐하면 {[a, b][n - 1]}", f"{s} 그래서 {[a, b][n - 1]}")
        for s, _, a, b, n in map(copa_row, range(12))
    )


def test_the_forks_prompts_of_boolq_and_sentineg(data):
    context, choices, answer = requests(polyglot("kobest_boolq", 0, data))[0]
    i = int(context.rpartition("강은 ")[2].partition("리")[0])
    assert context == (
        f"내용: 강은 {i // 2}리를 흐른다.\n"
        "질문: 다음 문장이 내용에 있는 사실과 일치하는가?\n"
        f"문장: 강은 {i}리인가?\n응답: "
    )
    assert choices == [" 아니오", " 예"] and answer == 2 - i % 2
    context, choices, _ = requests(polyglot("kobest_sentineg", 0, data))[0]
    assert context.startswith("이 과자는 1") and choices == [" (부정)", " (긍정)"]


def test_shots_are_drawn_by_the_stream_that_shuffled_the_rows(data):
    """The fork's own steps (evaluator.py, base.py) on plain numbers."""
    stream = random.Random(42)
    docs, train = list(range(100, 109)), list(range(12))
    stream.shuffle(docs)
    expected = [(doc, stream.sample(train, 3)) for doc in docs]
    found = []
    for context, _, _ in requests(polyglot("kobest_sentineg", 3, data)):
        numbers = [int(t.split("는 ")[1].split("점")[0]) for t in context.split("\n\n")]
        found.append((numbers[-1], numbers[:-1]))
    assert found == expected


@pytest.mark.parametrize("family", ["polyglot", "harness"])
def test_fixed_shots_are_the_first_draw_for_all_rows(data, family):
    task = polyglot("kobest_sentineg", 3, data).model_copy(update={"prompt_family": family})
    drawn = requests(task)
    fixed = requests(task.model_copy(update={"fixed_shots": True}))
    shots = {context.rpartition("\n\n")[0] for context, _, _ in fixed}
    assert shots == {drawn[0][0].rpartition("\n\n")[0]}
    assert requests(task, limit=4) == drawn[:4]


def letters(texts):
    """A tokenizer of one token per letter."""
    return {"input_ids": [list(text) for text in texts]}


def nsmc(prompt, shots, data):
    return BenchmarkTask(
        task=prompt, prompt_family="koalpaca", num_fewshot=shots, data=str(data)
    )


def test_nsmc_has_the_studys_prompts_with_shots_of_short_reviews(tmp_path):
    write_reviews(tmp_path, "ratings_train.txt", 60, first=1000)
    write_reviews(tmp_path, "ratings_test.txt.gz", 600)
    rows = requests(nsmc("nsmc_prompt1", 2, tmp_path), letters)
    assert len(rows) == 500
    *shots, asked = rows[0][0].split("\n문장: ")
    # only Korean letters and spaces stay of '영화 7, "good" 최고!'
    assert asked.replace(" ", "") == "영화최고\n감정:"
    assert len(shots) == 2 and all(s.endswith((" 긍정", " 부정")) for s in shots)
    assert rows[0][1] == [" 부정", " 긍정"]
    context, _, _ = requests(nsmc("nsmc_prompt2", 0, tmp_path), letters, limit=1)[0]
    assert context == "다음 문장은 긍정일까요 부정일까요?\n영화   최고\n정답:"


def test_nsmc_without_training_file_never_shows_what_it_scores(tmp_path):
    write_reviews(tmp_path, "ratings_test.txt", 40)
    (task,) = load_tasks(nsmc("nsmc_prompt1", 10, tmp_path), letters)
    scored = {doc["row_id"] for doc in task.test_docs()}
    assert scored == {f"nsmc-{i}" for i in range(20)}
    assert not scored & {doc["row_id"] for doc in task.sampler.fewshot_docs()}


def test_nsmc_has_the_rows_that_the_study_drew(shared_data):
    """pandas' own draw on the real file, of which three reviews are empty."""
    import pandas as pd
    from datasets import Dataset

    from solution.scoring.tasks.functions import nsmc_sample

    path = shared_data / "nsmc" / "ratings_test.txt.gz"
    whole = pd.read_csv(path, header=0, delimiter="\t", quoting=3).dropna()
    assert len(whole) == 49997
    expected = list(whole.sample(500, random_state=1234)["id"])
    drawn = nsmc_sample(Dataset.from_dict({"id": list(whole["id"])}))
    assert drawn["id"] == expected


def test_the_harness_reads_local_files_as_it_reads_the_hub(data):
    context, choices, answer = requests(
        BenchmarkTask(task="arc_challenge", num_fewshot=1, data=str(data))
    )[0]
    assert context.endswith("Question: Where is Test 0?\nAnswer:")
    assert choices == [" north", " south east", " up"] and answer == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "mmlu", "prompt_family": "polyglot"}, "no task of this name with prompts of"),
        ({"task": "wikitext"}, "wikitext: no layout of local files; known are kobest_boolq"),
        ({"data": "nowhere"}, r"nowhere/kobest/COPA/train.tsv.gz: not found"),
    ],
)
def test_unknown_tasks_and_missing_files_are_named(data, changes, message):
    options = {"task": "kobest_copa", "data": str(data)} | changes
    with pytest.raises(UserError, match=message):
        load_tasks(BenchmarkTask(**options), None)


def test_invalid_files_are_named(data, tmp_path):
    folder = write_kobest(tmp_path)
    (folder / "kobest" / "COPA" / "test.tsv.gz").write_bytes(b"no gzip")
    with pytest.raises(UserError, match=r"kobest_copa: the files under .* not as expected"):
        load_tasks(BenchmarkTask(task="kobest_copa", data=str(folder)), None)


@pytest.fixture(scope="module")
def loaded():
    tokenizer = tiny_tokenizer()
    model = tiny_model("qwen2", tokenizer)
    return LoadedModel(model, tokenizer, ModelReference(model="x"), "cpu", "float32", 512)


def evaluated(loaded, task, cache=None, **more):
    return evaluate_benchmark(
        loaded, task, batch_tokens=4096, label="test", cache=cache, **more
    )


@pytest.mark.parametrize("family", ["polyglot", "harness"])
def test_scores_are_those_of_one_forward_pass_per_choice(loaded, data, family):
    """The fork tokenizes context and continuation apart, the harness together."""
    import torch

    task = polyglot("kobest_boolq", 2, data).model_copy(update={"prompt_family": family})
    found = evaluated(loaded, task)
    tokenizer = loaded.tokenizer
    for (context, choices, answer), one, right in zip(
        requests(task), found.scored, found.key["answer"], strict=True
    ):
        totals = []
        for choice in choices:
            if family == "harness":
                space = len(context) - len(context.rstrip())
                head, tail = context[: len(context) - space], context[len(context) - space :]
                before = tokenizer.encode(head)
                after = tokenizer.encode(head + tail + choice)[len(before) :]
            else:
                before, after = (
                    tokenizer.encode(text, add_special_tokens=False)
                    for text in (context, choice)
                )
            with torch.no_grad():
                logits = loaded.model(torch.tensor([before + after])).logits[0].double()
            rows = logits.log_softmax(-1)[len(before) - 1 : -1]
            totals.append(sum(rows[i, token].item() for i, token in enumerate(after)))
        assert one.log_likelihood[0] - one.log_likelihood[1] == pytest.approx(
            totals[0] - totals[1], abs=1e-4
        )
        assert right == answer


def test_an_interrupted_task_resumes_from_the_cache(loaded, tmp_path):
    data = write_kobest(tmp_path / "data", test=200)
    task = polyglot("kobest_copa", 2, data)
    cache = ScoreCache(tmp_path / "scores", {"model": 1})

    def interrupt(done, total):
        assert total == 400
        if done > 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluated(loaded, task, cache, on_progress=interrupt)
    resumed, again = (evaluated(loaded, task, cache) for _ in range(2))
    whole = evaluated(loaded, task, ScoreCache(tmp_path / "other", {"model": 1}))
    assert resumed.scored == whole.scored == again.scored and resumed.key == whole.key
    tokens = [one.metrics["tokens_computed"] for one in (again, resumed, whole)]
    assert 0 == tokens[0] < tokens[1] < tokens[2]


def test_too_long_contexts_are_truncated_and_counted(loaded, data):
    from dataclasses import replace

    short = replace(loaded, max_length=40)
    found = evaluated(short, polyglot("kobest_boolq", 3, data))
    assert found.metrics["truncated_rows"] == found.metrics["questions"] == 9


def test_excluded_rows_are_left_out_and_acc_norm_divides_by_the_choices_length(loaded, data):
    task = polyglot("kobest_copa", 0, data)
    whole = evaluated(loaded, task)
    ids = [one.id for one in whole.scored]
    some = evaluated(loaded, task, excluded=frozenset(ids[:3]))
    assert [one.id for one in some.scored] == ids[3:]
    assert some.metrics["excluded_rows"] == 3
    with pytest.raises(UserError, match="no rows left after exclusions"):
        evaluated(loaded, task, excluded=frozenset(ids))
    arc = BenchmarkTask(task="arc_challenge", data=str(data))
    plain, norm = (
        evaluated(loaded, arc.model_copy(update={"length_normalized": on}))
        for on in (False, True)
    )
    lengths = [len(text) for text in ("north", "south east", "up")]
    for one, other in zip(plain.scored, norm.scored, strict=True):
        first, *rest = (
            value - log / length
            for value, log, length in zip(
                other.log_likelihood, one.log_likelihood, lengths, strict=True
            )
        )
        assert other.answer >= 1 and len(rest) == 2 and first == first
