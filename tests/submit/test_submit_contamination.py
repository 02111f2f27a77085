"""Test questions and forbidden sources in the recorded training data are refused."""

from dataclasses import replace

import pytest

from solution.cli import main
from solution.exam import Question, read_exam, write_exam
from solution.scoring import ChoiceScores, TrainedQuestion, trained, write_predictions
from solution.submit import validate, write_submission

CHOICES = ("가", "나", "다", "라")
TEST = [Question(f"x{i}", f"글 {i}", "알맞은 것은?", CHOICES) for i in range(3)]
OTHER = Question("t1", "다른 글", "?", CHOICES, 1, source="wiki")


@pytest.fixture
def submitted(tmp_path):
    """Return a function that validates a submission trained on the given rows."""
    write_exam(tmp_path / "test.csv", TEST)
    scored = [ChoiceScores(q.id, (-1.0,) * 4, (0.25,) * 4, 1, 0.0) for q in TEST]

    def make(rows, answer=1):
        run = tmp_path / "run"
        run.mkdir(exist_ok=True)
        made_by = {} if rows == "none" else {"trained_on": rows}
        write_predictions(run / "predictions.parquet", scored, made_by)
        chosen = [
            ChoiceScores(s.id, s.log_likelihood, s.probability, answer, 0.0) for s in scored
        ]
        out = tmp_path / "submission"
        write_submission(out, chosen, read_exam(tmp_path / "test.csv"), {})
        file, exam = str(out / "submission.csv"), str(tmp_path / "test.csv")
        return main(["submit", "validate", file, "--exam", exam, "--run", str(run)])

    return make


def test_clean_training_data_is_reported_as_clean(submitted, capsys):
    assert submitted(trained([OTHER])) == 0
    assert "Trained on 1 rows: no test question, no forbidden source" in capsys.readouterr().out


@pytest.mark.parametrize(
    "row",
    [
        Question("x1", "something else", "?", CHOICES, 1),
        Question("new", " 글  1", "알맞은  것은?", CHOICES[::-1], 2),
    ],
)
def test_a_test_row_by_id_or_by_text_is_refused_with_its_id(submitted, capsys, row):
    assert submitted(trained([OTHER, row])) == 2
    message = capsys.readouterr().err
    assert f"{row.id}: training row is test question x1" in message and "1 problem\n" in message


def test_row_numbers_as_ids_of_both_files_are_no_overlap(tmp_path):
    write_exam(tmp_path / "test.csv", [replace(q, id=str(i)) for i, q in enumerate(TEST)])
    scored = [ChoiceScores(str(i), (-1.0,) * 4, (0.25,) * 4, 1, 0.0) for i in range(3)]
    facts = {"trained_on": trained([replace(OTHER, id="1")])}
    write_submission(tmp_path / "out", scored, read_exam(tmp_path / "test.csv"), facts)
    said = validate(tmp_path / "out" / "submission.csv", tmp_path / "test.csv")
    assert "Trained on 1 rows: no test question" in said


@pytest.mark.parametrize(
    "source",
    ["CSAT 2025", "csat_2025", "2023학년도 수능", "KICE mock", "EBS", "KMMLU", "klue_mrc"],
)
def test_forbidden_sources_are_refused_with_their_row(submitted, capsys, source):
    assert submitted([TrainedQuestion("extra-3", "0" * 16, source)]) == 2
    assert "extra-3: training row has forbidden source" in capsys.readouterr().err


@pytest.mark.parametrize("source", ["", "kowiki", "debsoc", "websites", "KorQuAD"])
def test_other_sources_are_allowed(submitted, source):
    assert submitted([TrainedQuestion("extra-3", "0" * 16, source)]) == 0


def test_the_contests_own_rows_may_be_trained_on(submitted):
    assert submitted([TrainedQuestion("generation-for-nlp-425", "0" * 16, "KMMLU")]) == 0


def test_a_run_without_recorded_training_data_is_reported_as_not_checked(submitted, capsys):
    assert submitted("none") == 0
    assert "not checked" in capsys.readouterr().out


def test_a_run_with_other_answers_is_refused(submitted, capsys):
    assert submitted(trained([OTHER]), answer=2) == 2
    assert "its answers differ from those of" in capsys.readouterr().err
