"""Submissions in another contest's format: letters, columns, order and ranks of a sample."""

from pathlib import Path

import pytest

from solution.cli import main
from solution.core import UserError
from solution.exam import Question, SubmissionFormat
from solution.scoring import ChoiceScores
from solution.submit import score, validate, write_submission
from solution.submit.files import read_target

HEAD = "id,prompt,A,B,C,D,E\n"
ROWS = "10,first?,a,b,c,d,e\n2,second?,a,b,c,d,\n3,third?,a,b,c,d,e\n"
SHARES = {"10": (0.1, 0.4, 0.3, 0.1, 0.1), "2": (0.5, 0.2, 0.2, 0.1), "3": (0, 0, 0, 0.1, 0.9)}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("test.csv").write_text(HEAD + ROWS)
    return tmp_path


def write(sample=None):
    """Write a submission and return its text and the next command."""
    scored = [
        ChoiceScores(id, share, share, share.index(max(share)) + 1, 0.1)
        for id, share in SHARES.items()
    ]
    if sample is not None:
        Path("sample.csv").write_text(sample)
    target = read_target(Path("test.csv"), None if sample is None else Path("sample.csv"))
    said = write_submission(Path("out"), scored, target, {})
    return Path("out/submission.csv").read_text(), said.rpartition("./run.sh ")[2].split()


SAMPLES = {
    "none: the exam's letters": (None, "id,answer\n10,B\n2,A\n3,E\n"),
    "letters": ("id,answer\n10,A\n2,A\n3,A\n", "id,answer\n10,B\n2,A\n3,E\n"),
    "numbers": ("id,answer\n10,1\n2,1\n3,1\n", "id,answer\n10,2\n2,1\n3,5\n"),
    "columns and order": ("ID,Label\n2,C\n3,C\n10,C\n", "ID,Label\n2,A\n3,E\n10,B\n"),
    "blank answers": ("id,label\n2,\n3,\n10,\n", "id,label\n2,A\n3,E\n10,B\n"),
    "ranks": (
        "id,prediction\n10,A B C\n2,A B C\n3,A B C\n",
        "id,prediction\n10,B C A\n2,A B C\n3,E D A\n",
    ),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_a_submission_follows_the_sample(here, name, capsys):
    sample, expected = SAMPLES[name]
    text, command = write(sample)
    assert text == expected
    assert main(command) == 0
    assert "valid format: 3 rows" in capsys.readouterr().out
    Path("key.csv").write_text("id,answer,Usage\n10,B,Public\n2,1,Private\n3,E,Private\n")
    assert "all           3      3    1.0000" in score(
        Path("out/submission.csv"), Path("key.csv")
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("10,B", "10,2", "not a letter from A to J: row 1 (line 2), 10: '2'"),
        ("2,A", "2,E", "2: E of 4 choices"),
        ("3,E", "3,E D", "3: 'E D'"),
        ("10,B", "10,b", "10: 'b'"),
    ],
)
def test_other_labels_are_refused(here, old, new, said):
    text, _ = write()
    Path("mine.csv").write_text(text.replace(old, new))
    with pytest.raises(UserError) as raised:
        validate(Path("mine.csv"), Path("test.csv"))
    assert said in str(raised.value)


def test_a_ranked_answer_names_no_choice_twice(here):
    text, _ = write(SAMPLES["ranks"][0])
    Path("mine.csv").write_text(text.replace("B C A", "B C B"))
    with pytest.raises(UserError, match="names a choice twice"):
        validate(Path("mine.csv"), Path("test.csv"), sample=Path("sample.csv"))


@pytest.mark.parametrize(
    "sample",
    ["id,answer\n10,A\n2,A\n", "id,answer\n10,A\n2,A\n4,A\n", "id,a,b\n10,1,1\n2,1,1\n3,1,1\n"],
)
def test_a_sample_of_another_exam_is_refused(here, sample):
    Path("sample.csv").write_text(sample)
    with pytest.raises(UserError, match="expected two columns, the 3 ids of test"):
        read_target(Path("test.csv"), Path("sample.csv"))


def test_a_sample_that_counts_from_0_is_reported(here, capsys):
    Path("sample.csv").write_text("id,answer\n10,0\n2,0\n3,0\n")
    target = read_target(Path("test.csv"), Path("sample.csv"))
    assert target.submission == SubmissionFormat(sample=Path("sample.csv"))
    assert isinstance(target.questions[0], Question)
    assert "answers are written from 1" in capsys.readouterr().err
