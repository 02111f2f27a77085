"""Submission folders are written all or nothing, in the exam's order; predict and runs."""

import csv
import os
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from solution.cli import main
from solution.core import UserError
from solution.exam import (
    AnswerKey,
    Question,
    public_private_split,
    read_exam,
    write_answer_key,
    write_exam,
)
from solution.scoring import ChoiceScores, read_predictions, write_predictions
from solution.submit import predict, submit_run, validate, write_submission

FILES = ["predictions.parquet", "private.csv", "public.csv", "submission.csv"]


def make_exam(folder, ids, choices=4):
    options = tuple(f"선택 {n}" for n in range(choices))
    write_exam(folder / "test.csv", [Question(id, "글", "?", options) for id in ids])
    return read_exam(folder / "test.csv")


def answered(id, answer=1, choices=4):
    share = (1 / choices,) * choices
    return ChoiceScores(
        id=id, log_likelihood=share, probability=share, answer=answer, margin=0.0
    )


def read(path):
    with path.open(encoding="utf-8", newline="") as stream:
        header, *rows = csv.reader(stream)
    assert header == ["id", "answer"]
    return [(id, int(answer)) for id, answer in rows]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# An id as a person may choose it; the reader refuses blanks around it.
ID = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=9).filter(
    lambda id: id == id.strip() and not id.startswith("\ufeff")
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(ID, st.integers(1, 4), min_size=1, max_size=12), st.randoms())
def test_any_predictions_become_a_valid_submission(tmp_path, answers, random):
    exam = make_exam(tmp_path, answers)
    scored = [answered(id, answer) for id, answer in answers.items()]
    random.shuffle(scored)
    write_submission(tmp_path / "out", scored, exam, {})
    assert names(tmp_path / "out") == FILES
    assert read(tmp_path / "out" / "submission.csv") == list(answers.items())
    assert "valid" in validate(tmp_path / "out" / "submission.csv", exam.path)
    public, private = (read(tmp_path / "out" / f"{half}.csv") for half in ("public", "private"))
    assert len(public) == len(answers) // 2
    assert sorted(public + private) == sorted(answers.items())
    assert [row for row in answers.items() if row in public] == public


def test_the_halves_of_a_solution_are_followed(tmp_path):
    exam = make_exam(tmp_path, "abc")
    usage = {"a": "Private", "b": "Private", "c": "Public"}
    key = AnswerKey(dict.fromkeys("abc", 1), usage)
    write_submission(tmp_path / "out", [answered(id) for id in "abc"], exam, {}, key=key)
    assert read(tmp_path / "out" / "public.csv") == [("c", 1)]


@pytest.mark.parametrize(
    ("predicted", "said"),
    [
        ([answered("a")], "b: no prediction"),
        ([answered("a"), answered("b"), answered("x")], "x: predicted, but not in the exam"),
        ([answered("a"), answered("b"), answered("b")], "1 predictions with a duplicate id"),
        ([answered("a"), answered("b", answer=5)], "5 of 4 choices"),
    ],
)
def test_predictions_of_another_exam_are_refused(tmp_path, predicted, said):
    exam = make_exam(tmp_path, "ab")
    with pytest.raises(UserError, match=said):
        write_submission(tmp_path / "out", predicted, exam, {})
    assert names(tmp_path) == ["test.csv"]


def test_an_earlier_submission_is_replaced_but_no_other_file(tmp_path):
    exam = make_exam(tmp_path, "ab")
    out = tmp_path / "out"
    write_submission(out, [answered("a"), answered("b")], exam, {})
    write_submission(out, [answered("a", 2), answered("b", 2)], exam, {})
    assert read(out / "submission.csv") == [("a", 2), ("b", 2)]
    (out / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match=r"other files than a submission \(thesis.txt\)"):
        write_submission(out, [answered("a"), answered("b")], exam, {})
    assert (out / "thesis.txt").read_text() == "years of work"


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    exam = make_exam(tmp_path, "a")
    with pytest.raises(UserError, match="is a file"):
        write_submission(exam.path, [answered("a")], exam, {})


def make_run(folder, solution=True):
    """A finished run over a small exam, two of three answers right."""
    run = folder / "runs" / "finetune" / "small"
    run.mkdir(parents=True)
    make_exam(folder, "abc")
    data = {"train": "train.csv", "test": str(folder / "test.csv"), "solution": None}
    if solution:
        data["solution"] = str(folder / "solution.csv")
        key = {"a": 1, "b": 2, "c": 4}
        write_answer_key(
            folder / "solution.csv", AnswerKey(key, public_private_split(list(key)))
        )
    (run / "config.yaml").write_text("# fingerprint: 1\n" + yaml.safe_dump({"data": data}))
    scored = [answered("b", 2), answered("c", 3), answered("a", 1)]
    write_predictions(run / "predictions.parquet", scored, {})
    return run


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_run_becomes_a_submission_with_its_accuracy_and_next_command(here):
    said = submit_run(make_run(here))
    assert names(here / "submissions" / "small") == FILES
    assert read(here / "submissions" / "small" / "submission.csv") == [
        ("a", 1),
        ("b", 2),
        ("c", 3),
    ]
    assert "submissions/small/submission.csv  3 rows" in said
    assert len(read(here / "submissions" / "small" / "public.csv")) == 1
    assert "all           2      3    0.6667" in said
    command = said.rpartition("Next: ./run.sh ")[2].split()
    assert main(command) == 0


def test_a_run_whose_key_is_not_known_has_no_accuracy(here):
    assert "accuracy" not in submit_run(make_run(here, solution=False))


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (None, "config.yaml: cannot be read"),
        ("data: [", "not valid YAML"),
        ("recipe: x\n", "no data.test"),
        ("data: {test: absent.csv}\n", "absent.csv: cannot be read"),
    ],
)
def test_a_folder_without_a_run_is_refused(here, config, said):
    run = make_run(here)
    (run / "config.yaml").unlink()
    if config is not None:
        (run / "config.yaml").write_text(config)
    with pytest.raises(UserError, match=said):
        submit_run(run)
    assert not (here / "submissions").exists()


def test_predict_answers_the_real_layout_with_the_real_tokenizer(here, real_qwen):
    questions = [
        Question("x-1", "글 하나", "무엇인가?", ("가", "나", "다", "라")),
        Question("x-0", "", "누구인가?", ("갑", "을", "병", "정", "무"), None, "<보기> ㄱ"),
    ]
    write_exam(here / "exam.csv", questions)
    said = predict(str(real_qwen), Path("exam.csv"), Path("out"), batch_tokens=4096)
    assert names(here / "out") == FILES
    scored = read_predictions(here / "out" / "predictions.parquet")
    assert [len(row.probability) for row in scored] == [4, 5]
    assert read(here / "out" / "submission.csv") == [(row.id, row.answer) for row in scored]
    assert "out/submission.csv  2 rows" in said


@pytest.mark.parametrize("wrong", ["model", "exam", "prompt", "out"])
def test_predict_writes_nothing_after_an_error(here, wrong, capsys):
    make_exam(here, "ab")
    (here / "mine").mkdir()
    (here / "mine" / "diary.txt").write_text("x")
    given = {"model": "no/such-model", "exam": "test.csv", "prompt": "contest", "out": "out"}
    given |= {
        "model": {},
        "exam": {"exam": "no.csv"},
        "prompt": {"prompt": "x"},
        "out": {"out": "mine"},
    }[wrong]
    before = sorted(here.rglob("*"))
    options = [text for name, value in given.items() for text in (f"--{name}", value)]
    assert main(["predict", *options]) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert sorted(here.rglob("*")) == before


def test_no_half_written_folder_is_ever_visible(tmp_path, monkeypatch):
    """List the folder before and after every rename."""
    exam = make_exam(tmp_path, "ab")
    seen = []
    rename = os.rename

    def watch(*args, **more):
        if (tmp_path / "out").exists():
            seen.append(names(tmp_path / "out"))
        rename(*args, **more)
        if (tmp_path / "out").exists():
            seen.append(names(tmp_path / "out"))

    monkeypatch.setattr(os, "rename", watch)
    for answer in (1, 2):
        write_submission(tmp_path / "out", [answered("a", answer), answered("b")], exam, {})
    assert seen
    assert all(listed == FILES for listed in seen)
