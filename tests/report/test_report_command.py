"""What the page contains, read from its data; and what `report` refuses."""

import base64
import gzip
import json
import re
from dataclasses import replace

import pytest
from made_runs import questions_of, scored_of

from solution.core import UserError
from solution.exam import AnswerKey, public_private_split, write_answer_key, write_exam
from solution.explore import adjusted_pairwise, format_accuracy
from solution.explore.suite import load_suite
from solution.report import report
from solution.report.published import known
from solution.scoring import write_predictions

DATA = re.compile(r'<script type="text/plain" id="data">([^<]*)</script>')


def data_of(page):
    """What the page holds, unpacked as the browser does."""
    packed = DATA.search(page.read_text(encoding="utf-8"))[1]
    return json.loads(gzip.decompress(base64.b64decode(packed)))


def made(bench, named=None, memory=32.0):
    page = bench.root / "page.html"
    said = report(named or [bench.root], page, memory)
    return data_of(page), said


def test_runs_on_one_exam_share_one_board(bench):
    questions = questions_of(60)
    bench.explored(questions, {"weak": 0.3, "strong": 0.9})
    bench.tuned(questions, 0.95, "strong")
    data, said = made(bench)
    assert "3 runs on 1 exam" in said
    (board,) = data["boards"]
    assert [m["name"] for m in board["models"]] == ["made", "strong", "weak"]  # best first
    tuned, strong, weak = board["models"]
    share = sum(a == q.answer for a, q in zip(strong["answers"], questions, strict=True)) / 60
    assert strong["accuracy"] == pytest.approx(share, abs=1e-5)
    assert strong["ci_low"] < share < strong["ci_high"]
    assert set(strong["by_subject"]) == {"국어", "사회"}
    assert not set(strong["group"]) & set(weak["group"])
    assert tuned["kind"] == "tuned"
    assert sum(row[0] for row in strong["calibration"]) == 60
    assert len(board["texts"]) == 31  # thirty passages that two questions share, and no text


def test_p_values_and_rounding_are_those_of_explore(bench):
    """17 of 32 is 0.53125: half a unit in the last of four digits."""
    questions = questions_of(32)
    exact = [replace(q, answer=1 + (n < 15)) for n, q in enumerate(questions)]
    bench.explored(questions, {"one": 0.4, "two": 0.6, "three": 0.9})
    write_answer_key(
        bench.suite / "solution.csv",
        AnswerKey({q.id: q.answer for q in exact}, public_private_split([q.id for q in exact])),
    )
    write_exam(bench.suite / "exam.csv", exact)
    same = [replace(one, answer=1) for one in scored_of(questions, 0.5, seed=1)]
    write_predictions(bench.suite / "one" / "predictions.parquet", same, {})
    (board,) = made(bench)[0]["boards"]
    models = {model["name"]: model for model in board["models"]}
    assert models["one"]["accuracy"] == 0.53125
    assert format_accuracy(models["one"]["accuracy"]) == "0.5313"
    right = [
        [a == q.answer for a, q in zip(m["answers"], exact, strict=True)]
        for m in board["models"]
    ]
    expected = adjusted_pairwise(right)
    assert board["pairs"] == [[a, b, p_value] for (a, b), p_value in expected.items()]


def test_tuning_and_wiki_are_compared_with_their_baselines(bench):
    questions = questions_of(60)
    bench.explored(questions, {"base": 0.3, "base-wiki": 0.6})
    bench.tuned(questions, 0.95, "base")
    (board,) = made(bench)[0]["boards"]
    names = [model["name"] for model in board["models"]]
    found = {(e["kind"], names[e["of"]], names[e["versus"]]): e for e in board["effects"]}
    assert set(found) == {("kowiki", "base-wiki", "base"), ("tuning", "made", "base")}
    whole, *subjects = found["tuning", "made", "base"]["parts"]
    assert 0 < whole["low"] < whole["gain"] < whole["high"]
    assert [part["n"] for part in subjects] == [30, 30]


def test_a_run_with_passages_is_compared_with_itself_without_them(bench):
    questions = questions_of(60)
    run = bench.tuned(questions, 0.95, "base")
    made_by = {"made": "without"}
    plain = scored_of(questions, 0.4, seed=5)
    write_predictions(run / "predictions-without-passages.parquet", plain, made_by)
    data = made(bench)[0]
    (board,) = data["boards"]
    names = [model["name"] for model in board["models"]]
    found = {(e["kind"], names[e["of"]], names[e["versus"]]) for e in board["effects"]}
    assert found == {("retrieval", "made", "made, without passages")}
    assert [tuning["name"] for tuning in data["tunings"]] == ["made"]


def test_a_test_file_without_a_key_is_shown_unscored(bench):
    bench.tuned(questions_of(20), 0.9, "base", known=False)
    data, _ = made(bench)
    (board,) = data["boards"]
    assert not board["known"] and board["effects"] == [] and board["pairs"] == []
    assert "accuracy" not in board["models"][0]
    assert {question[5] for question in board["questions"]} == {0}
    assert data["tunings"][0]["best_step"] == 30


def test_other_exams_get_a_board_of_their_own(bench):
    bench.explored(questions_of(20), {"one": 0.5})
    bench.tuned(questions_of(24, seed=5), 0.9, "one")
    data, _ = made(bench)
    assert [len(board["questions"]) for board in data["boards"]] == [20, 24]


def test_published_scores_and_failures_come_from_the_leaderboard(bench):
    board = (
        "model,status,published_public,published_private,licence\n"
        "hub/one,scored,0.7,0.6,Apache-2.0\nhub/two,failed: gated,,,\n"
    )
    bench.explored(questions_of(20), {"hub/one": 0.5}, board)
    (found,) = made(bench)[0]["boards"]
    (model,) = found["models"]
    assert (model["published"], model["licence"]) == ([0.7, 0.6], "Apache-2.0")
    assert found["failed"] == [{"name": "hub/two", "reason": "failed: gated"}]


def test_a_run_of_a_published_candidate_is_linked_to_its_row(bench):
    name = "unsloth/Qwen2.5-14B-bnb-4bit"
    bench.explored(questions_of(20), {name: 0.5})
    rows = {row["model"]: row for row in made(bench)[0]["candidates"]}
    assert len(rows) == 10
    assert len(rows[name]["runs"]) == 1
    assert (rows[name]["public"], rows[name]["private"]) == (0.6889, 0.6621)
    assert (rows[name]["parameters"], rows[name]["licence"]) == (14_800_000_000, "Apache-2.0")


def test_published_size_and_licence_fill_missing_ones(bench):
    name = "CohereForAI/aya-expanse-8b"
    folder = bench.explored(questions_of(20), {name: 0.5, "lcw99/other": 0.4})
    metrics = folder / name.replace("/", "__") / "metrics.json"
    metrics.write_text(json.dumps({"questions_per_second": 1.0}), encoding="utf-8")
    models = {m["name"]: m for m in made(bench)[0]["boards"][0]["models"]}
    known = models[name.replace("/", "__")] if name not in models else models[name]
    assert (known["parameters"], known["licence"]) == (8_030_000_000, "CC-BY-NC-4.0")
    assert all("licence" not in model for model in models.values() if model is not known)


def test_the_suite_and_the_study_name_the_same_licences():
    suite = load_suite("seed").candidates
    assert {c.model: c.licence for c in suite} == {
        c.model: known(c.model).get("licence", "") for c in suite
    }


def test_harness_results_are_listed_after_the_published_kobest_rows(bench):
    bench.explored(questions_of(20), {"one": 0.5})
    results = bench.root / "results_1.json"
    value = {
        "model_name": "mine",
        "results": {"kobest_copa": {"f1,none": 0.61}, "mmlu": {"acc,none": 0.4}},
        "n-shot": {"kobest_copa": 5},
    }
    results.write_text(json.dumps(value), encoding="utf-8")
    rows = made(bench, [bench.suite, results])[0]["kobest"]["rows"]
    assert [row["model"] for row in rows if not row["measured"]] == [
        "CoT-llama2-2k-7b",
        "KoT-platypus2-7B",
    ]
    assert [row["cells"] for row in rows if row["measured"]] == [{"copa/5": 0.61}]


def test_the_same_runs_give_the_same_bytes(bench):
    bench.explored(questions_of(20), {"one": 0.5})
    pages = [bench.root / name for name in ("a.html", "b.html")]
    for page in pages:
        report([bench.suite], page, 32.0)
    assert pages[0].read_bytes() == pages[1].read_bytes()


def test_superseded_and_unfinished_runs_are_skipped(bench):
    suite = bench.explored(questions_of(20), {"one": 0.5, "two": 0.5, "three": 0.5})
    (suite / "two").rename(suite / "two.0123abcd")
    (suite / "three").rename(suite / ".three.0123abcd.work")
    (board,) = made(bench)[0]["boards"]
    assert [model["name"] for model in board["models"]] == ["one"]


@pytest.mark.parametrize("name", ["exam.csv", "one/metrics.json", "one/predictions.parquet"])
def test_a_named_run_that_cannot_be_read_is_an_error_and_writes_nothing(bench, name):
    suite = bench.explored(questions_of(20), {"one": 0.5})
    (suite / name).write_text("damaged", encoding="utf-8")
    with pytest.raises(UserError, match=name):
        made(bench)
    assert not (bench.root / "page.html").exists()


def test_a_test_file_changed_since_its_tuning_is_an_error(bench):
    bench.tuned(questions_of(20), 0.9, "base")
    with (bench.root / "data" / "test.csv").open("a", encoding="utf-8") as stream:
        stream.write("\n")
    with pytest.raises(UserError, match=r"test\.csv: has changed"):
        made(bench)


def test_a_folder_without_runs_is_an_error(tmp_path):
    with pytest.raises(UserError, match="no finished run"):
        report([tmp_path], None, 32.0)


def test_no_text_of_an_exam_is_in_the_html(bench):
    text = "</script><script>alert(1)</script>"
    first, *rest = questions_of(20)
    hostile = [first.__class__(**{**vars(first), "paragraph": text, "question": text}), *rest]
    bench.explored(tuple(hostile), {"one": 0.5})
    page = bench.root / "page.html"
    report([bench.suite], page, 32.0)
    assert "alert(1)" not in page.read_text(encoding="utf-8")
    assert data_of(page)["boards"][0]["questions"][0][2] == text


def test_retrieved_passages_and_provenance_go_with_their_questions(bench):
    import pyarrow as pa
    from pyarrow import parquet

    suite = bench.explored(questions_of(20), {"one": 0.5})
    found = [{"id": "made-0003", "title": "제목", "text": "본문", "score": 2.5}]
    parquet.write_table(pa.Table.from_pylist(found), suite / "one" / "retrieved.parquet")
    origin = [{"id": "made-0003", "form": "who", "title": "글"}]
    parquet.write_table(pa.Table.from_pylist(origin), suite / "provenance.parquet")
    (board,) = made(bench)[0]["boards"]
    assert board["models"][0]["retrieved"] == {"3": [["제목", "본문", 2.5]]}
    assert board["provenance"] == {"made-0003": {"form": "who", "title": "글"}}
