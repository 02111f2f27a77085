"""What benchmarks ask: prompts and shots of each family, word for word."""

import random

import pytest
from benchmark_files import copa_row, write_arc, write_kobest, write_questions, write_reviews

from solution.core import UserError
from solution.scoring.benchmarks.korean import HUB, question_set, read_barred
from solution.scoring.benchmarks.nsmc import nsmc_rows
from solution.scoring.benchmarks.polyglot import polyglot_rows


def polyglot(name, shots, data, fixed=False, limit=None):
    return polyglot_rows(name, shots, data, fixed=fixed, limit=limit)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_kobest(tmp_path_factory.mktemp("data"))


def test_the_forks_prompts_of_copa_close_shots_with_a_space_and_ask_without(data):
    row = polyglot("kobest_copa", 1, data)[0]
    shot, asked = row.context.split("\n\n")
    number = int(row.id.removeprefix("kobest_copa-"))
    sentence, question, one, two, answer = copa_row(100 + number)
    connector = {"원인": "왜냐하면", "결과": "그래서"}[question.strip()]
    assert asked == f"{sentence} {connector}"
    assert row.choices == (one, two) and row.answer == answer
    assert any(
        shot in (f"{s} 왜냐하면 {[a, b][n - 1]}", f"{s} 그래서 {[a, b][n - 1]}")
        for s, _, a, b, n in map(copa_row, range(12))
    )


def test_the_forks_prompts_of_boolq_and_sentineg(data):
    boolq = polyglot("kobest_boolq", 0, data)[0]
    i = 100 + int(boolq.id.removeprefix("kobest_boolq-"))
    assert boolq.context == (
        f"내용: 강은 {i // 2}리를 흐른다.\n"
        "질문: 다음 문장이 내용에 있는 사실과 일치하는가?\n"
        f"문장: 강은 {i}리인가?\n응답: "
    )
    assert boolq.choices == (" 아니오", " 예") and boolq.answer == 2 - i % 2
    assert boolq.group == f"강은 {i // 2}리를 흐른다."
    sentineg = polyglot("kobest_sentineg", 0, data)[0]
    assert sentineg.context.startswith("이 과자는 1")
    assert sentineg.choices == (" (부정)", " (긍정)")


def test_shots_are_drawn_as_the_fork_draws_them_from_the_stream_that_shuffled_the_rows(data):
    """The fork's own steps (evaluator.py, base.py) on plain numbers."""
    stream = random.Random()
    stream.seed(42)
    docs, train = list(range(100, 109)), list(range(12))
    stream.shuffle(docs)
    expected = [(doc, stream.sample(train, 3)) for doc in docs]
    rows = polyglot("kobest_sentineg", 3, data)
    found = []
    for row in rows:
        *shots, asked = row.context.split("\n\n")
        numbers = [int(text.split("는 ")[1].split("점")[0]) for text in [*shots, asked]]
        found.append((numbers[-1], numbers[:-1]))
    assert found == expected
    assert all(" (긍정)" in s or " (부정)" in s for s in rows[0].context.split("\n\n")[:-1])


def test_fast_mode_gives_all_rows_the_same_shots_and_a_limit_the_first_of_the_shuffled(data):
    rows = polyglot("kobest_sentineg", 3, data, fixed=True)
    assert len({row.context.rpartition("\n\n")[0] for row in rows}) == 1
    some = polyglot("kobest_sentineg", 3, data, limit=4)
    assert some == polyglot("kobest_sentineg", 3, data)[:4]


def test_a_task_without_prompts_in_a_family_is_refused_with_those_that_have(data):
    with pytest.raises(UserError, match="mmlu: no prompt of family polyglot; it has kobest_"):
        polyglot("mmlu", 0, data)
    with pytest.raises(UserError, match="family koalpaca; it has nsmc_prompt1"):
        nsmc_rows("nsmc", 1, data, None, fixed=False, limit=None)


class Letters:
    """A tokenizer of one token a letter."""

    def __call__(self, texts):
        return {"input_ids": [list(text) for text in texts]}


def test_nsmc_asks_the_studys_prompts_with_shots_of_short_reviews(tmp_path):
    write_reviews(tmp_path, "ratings_train.txt", 60, first=1000)
    write_reviews(tmp_path, "ratings_test.txt.gz", 600)
    rows = nsmc_rows("nsmc_prompt1", 2, tmp_path, Letters(), fixed=False, limit=None)
    assert len(rows) == len({row.id for row in rows}) == 500
    *shots, asked = rows[0].context.split("\n문장: ")
    # only Korean letters and spaces stay of '영화 7, "good" 최고!'
    assert asked.replace(" ", "") == "영화최고\n감정:"
    assert len(shots) == 2 and all(s.endswith((" 긍정", " 부정")) for s in shots)
    assert rows[0].choices == (" 부정", " 긍정")
    assert rows[0].answer == 1 + int(rows[0].id.removeprefix("nsmc-")) % 2
    second = nsmc_rows("nsmc_prompt2", 0, tmp_path, Letters(), fixed=False, limit=1)
    assert second[0].context == "다음 문장은 긍정일까요 부정일까요?\n영화   최고\n정답:"
    assert second[0].id == rows[0].id


def test_nsmc_without_training_file_never_shows_what_it_asks(tmp_path, capsys):
    write_reviews(tmp_path, "ratings_test.txt", 40)
    rows = nsmc_rows("nsmc_prompt1", 10, tmp_path, Letters(), fixed=False, limit=None)
    assert {int(row.id.removeprefix("nsmc-")) for row in rows} == set(range(20))
    assert "second half" in capsys.readouterr().err


def test_nsmc_has_the_rows_that_the_study_drew(shared_data):
    """pandas' own draw on the real file, of which three reviews are empty."""
    import pandas as pd

    path = shared_data / "nsmc" / "ratings_test.txt.gz"
    whole = pd.read_csv(path, header=0, delimiter="\t", quoting=3).dropna()
    assert len(whole) == 49997
    from solution.scoring.benchmarks.nsmc import _sampled, read_nsmc

    train, test = read_nsmc(shared_data)
    docs = sorted([*test, *train], key=lambda doc: doc["id"])
    assert len(docs) == 49997
    expected = list(whole.sample(500, random_state=1234)["id"].astype(str))
    assert [str(whole["id"].iloc[i]) for i in _sampled(len(whole))] == expected


def test_harness_rows_are_what_the_harness_asks(tmp_path):
    """Its own requests, built by its own code from the same rows and seed."""
    pytest.importorskip("lm_eval")
    from solution.scoring.benchmarks.harness_rows import harness_rows, harness_tasks

    write_kobest(tmp_path)
    write_arc(tmp_path)
    for name, shots in (("kobest_copa", 2), ("arc_challenge", 1)):
        (task,) = harness_tasks(name, shots, tmp_path)
        task.set_fewshot_seed(1234)
        task.build_all_requests(rank=0, world_size=1)
        rows = harness_rows(name, shots, tmp_path, fixed=False, limit=None)
        asked = [(row.context, choice) for row in rows for choice in row.choices]
        assert asked == [instance.args for instance in task.instances]
        fixed = harness_rows(name, shots, tmp_path, fixed=True, limit=2)
        assert len(fixed) == 2 and fixed[0] == rows[0]
    copa = harness_rows("kobest_copa", 2, tmp_path, fixed=True, limit=None)
    assert len({row.context.rpartition("\n\n")[0] for row in copa}) == 1
    assert [row.answer for row in copa] == [copa_row(100 + i)[-1] for i in range(len(copa))]


def test_training_rows_are_known_again_whatever_their_ids_spaces_and_order(tmp_path):
    long = ["고조선의 건국 이야기", "삼국의 통일 과정", "고려의 대외 관계", "조선의 통치 체제"]
    asked = question_set(
        "kmmlu",
        "k/*.csv",
        write_questions(
            tmp_path / "k" / "k.csv",
            [
                ("k1", "옳은 것은?", long, 1),
                ("k2", "가장 큰 수는?", ["1", "2", "3", "4"], 4),
                ("k3", "가장 작은 수는?", ["1", "2", "3", "4"], 1),
                ("k4", "다른 것은?", ["가", "나", "다", "라"], 2),
            ],
        ).parents[1],
    )
    train = write_questions(
        tmp_path / "train.csv",
        [
            ("t1", "다음 글로 보아 알맞은 것은?", [c.replace(" ", "") for c in long[::-1]], 4),
            ("t2", "다음에서 가장 큰 수는?", ["4", "3", "2", "1"], 1),
        ],
    )
    ids = tmp_path / "ids.txt"
    ids.write_text("id\nk4\n")
    barred = read_barred([train, ids])
    assert [barred.bars(question) for question in asked] == [True, True, False, True]
    with pytest.raises(UserError, match=r"exclude .*nowhere.csv: cannot be read"):
        read_barred([tmp_path / "nowhere.csv"])


def test_the_contests_training_file_bars_its_rows_of_mmmlu_and_kmmlu(shared_data):
    barred = read_barred([shared_data / "competition" / "train.csv"])
    for name, low in (("mmmlu_ko", 300), ("kmmlu", 60), ("click", 0)):
        questions = question_set(name, f"{name}/{name}.csv", shared_data)
        number = sum(map(barred.bars, questions))
        assert low <= number < len(questions) / 2 + (name != "click")
        assert number or name == "click"


def test_rows_of_the_hubs_sets_become_questions():
    kmmlu = {"question": " 법은? ", "A": "가", "B": "나", "C": "다", "D": "라", "answer": 3}
    found = HUB["kmmlu"][3](kmmlu | {"Category": "Law"}, "kmmlu-0")
    assert (found.question, found.answer, found.subject) == ("법은?", 3, "Law")
    mmmlu = {k: kmmlu[k] for k in "ABCD"} | {"Question": "?", "Answer": "D", "Subject": "art"}
    assert HUB["mmmlu_ko"][3](mmmlu, "x").answer == 4
    click = {"question": "?", "choices": ["가", "나", "다"], "answer": "나", "paragraph": None}
    found = HUB["click"][3](click, "x")
    assert (found.answer, found.paragraph, found.choices) == (2, "", ("가", "나", "다"))
