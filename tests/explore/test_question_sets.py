"""Exams of a suite: question sets of the hub, several files, and what is excluded."""

import sys
from pathlib import Path

import pytest

from solution.core import UserError
from solution.explore.question_sets import hub_question, read_exams, read_exclusions
from solution.explore.suite import load_suite

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scoring"))
from benchmark_files import write_questions


def test_training_questions_are_excluded_whatever_their_ids_spaces_and_order(tmp_path):
    long = ["고조선의 건국 이야기", "삼국의 통일 과정", "고려의 대외 관계", "조선의 통치 체제"]
    write_questions(
        tmp_path / "csat_korean" / "csat_korean_1.csv",
        [
            ("k1", "옳은 것은?", long, 1),
            ("k2", "가장 큰 수는?", ["1", "2", "3", "4"], 4),
            ("k3", "가장 작은 수는?", ["1", "2", "3", "4"], 1),
        ],
    )
    write_questions(
        tmp_path / "csat_korean" / "csat_korean_2.csv",
        [("k4", "다른 것은?", ["가", "나", "다", "라"], 2)],
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
    suite = load_suite("korean", [f"exclude=[{train}, {ids}]"], data=tmp_path)
    keys = read_exams(suite, None, None)
    assert list(keys) == ["csat_korean"]
    assert [question.id for question in keys["csat_korean"].questions] == ["k3"]
    assert keys["csat_korean"].excluded == 3
    with pytest.raises(UserError, match=r"exclude .*nowhere.csv: cannot be read"):
        read_exclusions([tmp_path / "nowhere.csv"])


def test_the_contests_training_file_excludes_its_rows_of_mmmlu_and_kmmlu(shared_data):
    train = shared_data / "competition" / "train.csv"
    suite = load_suite("korean", [f"exclude=[{train}]"], data=shared_data)
    keys = read_exams(suite, None, None)
    for name, least in (("mmmlu_ko", 300), ("kmmlu", 60), ("click", 0)):
        assert least <= keys[name].excluded < len(keys[name].questions)


def test_rows_of_the_hubs_sets_become_questions():
    kmmlu = {"question": " 법은? ", "A": "가", "B": "나", "C": "다", "D": "라", "answer": 3}
    found = hub_question("kmmlu", kmmlu | {"Category": "Law"}, "kmmlu-0")
    assert (found.question, found.answer, found.subject) == ("법은?", 3, "Law")
    mmmlu = {k: kmmlu[k] for k in "ABCD"} | {"Question": "?", "Answer": "D", "Subject": "art"}
    assert hub_question("mmmlu_ko", mmmlu, "x").answer == 4
    click = {"question": "?", "choices": ["가", "나", "다"], "answer": "나", "paragraph": None}
    found = hub_question("click", click, "x")
    assert (found.answer, found.paragraph, found.choices) == (2, "", ("가", "나", "다"))


def test_a_suite_maps_the_columns_of_an_exam(tmp_path):
    (tmp_path / "x.csv").write_text("key,body,A,B,right\nq7,Which?,one,two,B\n")
    mapped = "{id: key, question: body, answer: right}"
    entry = f"exams=[{{name: x, exam: x.csv, columns: {mapped}}}]"
    [key] = read_exams(load_suite("korean", [entry], data=tmp_path), None, None).values()
    assert [(q.id, q.question, q.answer) for q in key.questions] == [("q7", "Which?", 2)]


def test_limit_and_exclusions_hold_for_an_exam_of_the_command_line_too(tmp_path):
    exam = write_questions(
        tmp_path / "e.csv", [(f"q{n}", f"{n}?", ["가", "나"], 1) for n in range(4)]
    )
    (tmp_path / "ids.txt").write_text("id\nq0\n")
    suite = load_suite("embedded", ["limit=2", f"exclude=[{tmp_path / 'ids.txt'}]"])
    [key] = read_exams(suite, exam, None).values()
    assert [question.id for question in key.questions] == ["q1", "q2"]
