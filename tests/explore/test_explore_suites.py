"""Suites: those shipped are sound; faulty ones are refused before anything is written."""

import pytest
import yaml

from solution.cli import main
from solution.core import UserError, aligned, width
from solution.explore import explore
from solution.explore.suite import load_suite


@pytest.mark.parametrize(("name", "candidates"), [("embedded", 4), ("seed", 10)])
def test_shipped_suites_are_sound(name, candidates):
    suite = load_suite(name)
    assert suite.name == name and len(suite.candidates) == candidates
    assert not any(candidate.trust_remote_code for candidate in suite.candidates)


def test_published_scores_are_whole_numbers_of_questions():
    for candidate in load_suite("seed").candidates:
        public, private = candidate.published.public, candidate.published.private
        assert public == round(round(public * 434) / 434, 4)
        assert private == round(round(private * 435) / 435, 4)


def test_overrides_reach_the_suite():
    assert load_suite("embedded", ["batch_tokens=77"]).batch_tokens == 77


def candidate(name="a", **more):
    return {"name": name, "model": "some/model"} | more


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"candidats": []}, ["candidats", "unknown key", "candidates"]),
        ({"candidates": [candidate(modle="x")]}, ["candidates.0.modle", "unknown key"]),
        ({"candidates": "a"}, ["candidates", "list"]),
        ({"candidates": []}, ["candidates"]),
        ({"candidates": [{"name": "a"}]}, ["candidates.0.model", "missing"]),
        ({"candidates": [candidate(), candidate()]}, ["share one directory"]),
        ({"candidates": [candidate("x/y"), candidate("X__y")]}, ["share one directory"]),
        ({"candidates": [candidate("../../etc")]}, ["candidates.0.name"]),
        ({"candidates": [candidate("/root")]}, ["candidates.0.name"]),
        ({"candidates": [candidate("a/../b")]}, ["candidates.0.name"]),
        ({"candidates": [candidate(".hidden")]}, ["candidates.0.name"]),
        ({"candidates": [candidate("a b")]}, ["candidates.0.name"]),
        ({"candidates": [candidate("leaderboard.csv")]}, ["candidates.0.name"]),
        ({"candidates": [candidate(quantization="3bit")]}, ["quantization", "4bit"]),
        ({"candidates": [candidate(published={"public": 2})]}, ["published.public"]),
        ({"name": ".."}, ["name"]),
        ({"name": 5}, ["name"]),
        ({"batch_tokens": "many"}, ["batch_tokens"]),
        ({"batch_tokens": 0}, ["batch_tokens"]),
        ({"exams": []}, ["exams"]),
        ({"prompt": "no-such"}, ["no-such"]),
        ({"candidates": [candidate(prompt="absent.yaml")]}, ["absent.yaml", "no such file"]),
        ({"exams": [{"name": "e", "exam": "absent.csv"}]}, ["absent.csv", "--exam"]),
    ],
)
def test_faulty_suites_are_refused_and_nothing_is_written(
    changes, parts, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    suite = {
        "name": "mine",
        "exams": [{"name": "e", "exam": "exam.csv"}],
        "candidates": [candidate()],
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(suite | changes, allow_unicode=True))
    assert main(["explore", "--suite", "mine.yaml"]) == 2
    said = capsys.readouterr().err
    assert all(part in said for part in parts), said
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]


def test_the_seed_suite_says_where_to_put_the_contests_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "solution.explore.question_sets.resolve_path", lambda path: tmp_path / path
    )
    with pytest.raises(UserError, match=r"data/test\.csv.*--exam"):
        explore("seed", None, None, None, [])


def test_an_exam_without_answers_asks_for_the_key(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    problems = str({"question": "무엇?", "choices": ["가", "나"], "answer": ""})
    (tmp_path / "exam.csv").write_text(f'id,paragraph,problems\nq1,글,"{problems}"\n')
    assert main(["explore", "--set", "prompt=contest", "--exam", "exam.csv"]) == 2
    said = capsys.readouterr().err
    assert "q1: no answer" in said and "--solution" in said


def test_korean_letters_take_two_columns():
    assert width("국어 a") == 6
    lines = aligned(["이름", "x", "y"], [["가나다", "1", "z"], ["b", "22", "z"]]).split("\n")
    assert len({width(line) for line in lines}) == 1
