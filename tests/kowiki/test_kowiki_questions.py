"""Questions on the embedded wiki: of good form, unique, evenly keyed, and none from an exam."""

import json
import random
from collections import Counter, defaultdict
from dataclasses import replace

import pytest

from solution.core import UserError
from solution.exam import read_exam, write_exam
from solution.kowiki import build, questions, read_passages
from solution.kowiki.extract import with_particle
from solution.kowiki.question_forms import generate


@pytest.fixture(scope="module")
def made(embedded, wiki):
    out = wiki.with_name("questions")
    report = questions(wiki, embedded / "test.csv", [], out, limit=None, seed=0)
    return out, report


def test_every_question_is_answered_by_its_own_passage(made, wiki):
    import pyarrow.parquet as pq

    texts = {passage.passage_id: passage.text for passage in read_passages(wiki)}
    rows = pq.read_table(made[0] / "provenance.parquet").to_pylist()
    source = {row["id"]: texts[row["passage_id"]] for row in rows if not row["removed"]}
    exam = read_exam(made[0] / "questions.csv", answers=True)
    assert {question.id for question in exam.questions} == set(source)
    for question in exam.questions:
        assert question.choices[question.answer - 1] in source[question.id]


def test_no_distractor_is_right(made, wiki):
    told = defaultdict(str)
    for passage in read_passages(wiki):
        told[passage.title] += passage.text
    for question in read_exam(made[0] / "questions.csv", answers=True).questions:
        (title,) = [t for t in told if question.question.startswith(t)]
        said = [choice for choice in question.choices if f" {choice}이다." in told[title]]
        assert question.choices[question.answer - 1] in said


def test_answers_stand_everywhere_equally_often_and_nothing_is_asked_twice(made):
    exam = read_exam(made[0] / "questions.csv", answers=True)
    places = Counter(question.answer for question in exam.questions)
    assert max(places.values()) - min(places.values()) <= 0.1 * len(exam)
    assert made[1]["positions_p"] > 0.05
    asked = [question.question for question in exam.questions]
    assert len(asked) == len(set(asked)) > 500


def test_two_runs_write_the_same_bytes(made, embedded, wiki, tmp_path):
    out = tmp_path / "again"
    questions(wiki, embedded / "test.csv", [], out, limit=None, seed=0)
    for name in ("questions.csv", "provenance.parquet", "report.json"):
        assert (out / name).read_bytes() == (made[0] / name).read_bytes()


def test_the_report_counts_what_was_left_out(made):
    report = json.loads((made[0] / "report.json").read_text(encoding="utf-8"))
    assert report["questions"] == len(read_exam(made[0] / "questions.csv", answers=True))
    assert report["rejected"]["overlaps with an exam"] > 0


def test_a_test_file_that_is_absent_is_refused(wiki, tmp_path):
    with pytest.raises(UserError, match=r"absent\.csv"):
        questions(wiki, tmp_path / "absent.csv", [], tmp_path / "q", limit=None, seed=0)
    assert not (tmp_path / "q").exists()


def test_generated_questions_planted_in_an_exam_are_removed(made, wiki, tmp_path):
    first = read_exam(made[0] / "questions.csv", answers=True).questions[:20]
    exam = tmp_path / "exam.csv"
    write_exam(exam, [replace(q, id=f"planted-{q.id}") for q in first])
    out = tmp_path / "q"
    questions(wiki, exam, [], out, limit=None, seed=0)
    left = {(q.question, q.choices) for q in read_exam(out / "questions.csv").questions}
    assert not {(q.question, q.choices) for q in first} & left


def test_every_form_is_made_of_ordinary_articles(tmp_path):
    article = (
        "{0}은 2001년에 문을 연 대한민국 남부 지방의 오래된 시립 박물관이다. "
        "{0}은 매년 {1}월에 특별 전시를 연다. 건물의 높이는 {2}m이고 모두 벽돌로 지었다. "
        "전시실에는 유물 {3}점과 그림 40점이 있다. 하루에 {4}명까지 둘러볼 수 있다고 한다. "
        "{0}은 1987년 시장이 바뀐 뒤에 자리를 넓게 옮겨 다시 지었다고 전한다."
    )
    names = ["가람", "나래", "다솜", "라온", "마루", "바다", "사랑", "아침", "자연", "하늘"]
    rng = random.Random(0)
    lines = [
        {
            "id": str(n),
            "title": f"{name}관",
            "text": article.format(f"{name}관", *(rng.randrange(2, 12) for _ in range(4))),
        }
        for n, name in enumerate(names)
    ]
    source = tmp_path / "wiki.jsonl"
    source.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    build(str(source), tmp_path / "passages")
    drafts = list(generate(read_passages(tmp_path / "passages"), random.Random(0)))
    forms = Counter(draft.form for draft in drafts)
    assert forms["definition"] == 10
    assert forms["year"] >= 10
    assert forms["agrees"] + forms["disagrees"] == 10
    for draft in drafts:
        assert len(draft.choices) >= 4
        if draft.form == "agrees":
            assert [choice in draft.passage.text for choice in draft.choices].count(True) == 1
        if draft.form == "disagrees":
            assert [choice in draft.passage.text for choice in draft.choices].count(False) == 1


@pytest.mark.parametrize(
    ("word", "particle", "whole"),
    [
        ("서울", "은", "서울은"),
        ("바다", "은", "바다는"),
        ("길", "으로", "길로"),
        ("집", "으로", "집으로"),
        ("1월", "을", "1월을"),
        ("제3", "이", "제3이"),
        ("강(江)", "과", "강(江)과"),
    ],
)
def test_particles_follow_the_last_sound(word, particle, whole):
    assert with_particle(word, particle) == whole
