"""`submit validate`: every problem of a CSV is reported, with exit status 2."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from solution.cli import main
from solution.core import ErrorCollector, UserError
from solution.exam import Question, Row, SubmissionFormat, Table, write_exam
from solution.submit import validate
from solution.submit.files import check_rows

CHOICES = {"a": 4, "b": 5, "c": 4}
GOOD = "id,answer\na,1\nb,5\nc,4\n"


@pytest.fixture
def exam(tmp_path):
    path = tmp_path / "exam.csv"
    questions = [
        Question(id, "글", "?", tuple(f"선택 {k}" for k in range(n)))
        for id, n in CHOICES.items()
    ]
    write_exam(path, questions)
    return path


def submission(folder, content):
    path = folder / "mine.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_valid_submission_is_described_in_one_line(tmp_path, exam):
    said = validate(submission(tmp_path, GOOD), exam)
    assert said.count("\n") == 0
    assert "valid format: 3 rows" in said
    assert "1: 1, 4: 1, 5: 1" in said
    assert "halves of 1 and 2" in said
    assert "Contest rules not checked" in said and "--run" in said


@pytest.mark.parametrize(
    "content",
    [
        GOOD.replace("\n", "\r\n"),
        GOOD.rstrip("\n"),
        GOOD + "\n\n",
        GOOD.replace("a,1", '"a","1"'),
    ],
)
def test_line_ends_and_quotes_make_no_difference(tmp_path, exam, content):
    assert "valid" in validate(submission(tmp_path, content), exam)


def test_a_byte_order_mark_is_reported(tmp_path, exam):
    said = validate(submission(tmp_path, b"\xef\xbb\xbf" + GOOD.encode()), exam)
    assert "valid format: 3 rows" in said
    assert "byte order mark" in said


WRONG = {
    "empty": ("", "empty"),
    "parquet": (b"PAR1.....", "parquet"),
    "no rows": ("id,answer\n", "3 × missing id: a; b; c"),
    "no header": (
        GOOD.partition("\n")[2],
        "expected the header id,answer, found a data row: a,1",
    ),
    "other columns": ("id,label\na,1\n", "columns id,answer and no others, found id,label"),
    "a column more": ("id,answer,text\na,1,x\nb,1,x\nc,1,x\n", "found id,answer,text"),
    "columns swapped": ("answer,id\n1,a\n1,b\n1,c\n", "found answer,id"),
    "missing id": (GOOD.replace("b,5\n", ""), "1 × missing id: b"),
    "id of another exam": (GOOD + "x,1\n", "1 × id not in the exam: 'x'"),
    "id with blanks": (GOOD.replace("a,", "a ,"), "not in the exam: 'a '"),
    "id twice": (GOOD + "a,2\n", "1 × duplicate id: a"),
    "other order": (
        "id,answer\nb,5\na,1\nc,4\n",
        "not in the exam's order: number 1 is b, expected a",
    ),
    "a word": (GOOD.replace("a,1", "a,정"), "not a whole number: row 1 (line 2), a: '정'"),
    "a fraction": (GOOD.replace("a,1", "a,1.0"), "not a whole number"),
    "nothing": (GOOD.replace("a,1", "a,"), "not a whole number"),
    "negative": (GOOD.replace("a,1", "a,-1"), "not a whole number"),
    "0": (GOOD.replace("a,1", "a,0"), "row 1 (line 2), a: 0 of 4 choices"),
    "5 of four": (GOOD.replace("c,4", "c,5"), "row 3 (line 4), c: 5 of 4 choices"),
    "6 of five": (GOOD.replace("b,5", "b,6"), "b: 6 of 5 choices"),
    "a field more": (GOOD.replace("b,5", "b,5,"), "row 2 (line 3): expected 2 fields"),
    "CP949": (GOOD.replace("a,1", "a,정").encode("cp949"), "CP949"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_submission_is_refused_with_one_message(
    name, tmp_path, exam, monkeypatch, capsys
):
    content, said = WRONG[name]
    submission(tmp_path, content)
    monkeypatch.chdir(tmp_path)
    status = main(["submit", "validate", "mine.csv", "--exam", "exam.csv"])
    printed = capsys.readouterr()
    assert (status, printed.out) == (2, "")
    assert printed.err.startswith("error: mine.csv: ")
    assert said in printed.err
    assert sorted(p.name for p in Path().iterdir()) == ["exam.csv", "mine.csv"]


def test_all_problems_are_reported_at_once(tmp_path, exam):
    file = submission(tmp_path, "id,answer,x\nc,정,\nb,9,\nb,2,\nz,1,\n")
    with pytest.raises(UserError) as caught:
        validate(file, exam)
    message = str(caught.value)
    for said in (
        "no others",
        "missing id: a",
        "'z'",
        "duplicate id: b",
        "order",
        "'정'",
        "9",
    ):
        assert said in message
    assert "7 problems" in message


def test_an_absent_file_is_refused(tmp_path, exam):
    with pytest.raises(UserError, match="cannot be read"):
        validate(tmp_path / "absent.csv", exam)


ANSWERS = st.sampled_from(["1", "4", "5", "6", "0", "", "정", "1.0", " 1"])


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from("abcx"), ANSWERS), max_size=5))
def test_only_valid_answers_to_every_row_are_accepted(rows):
    found = ErrorCollector("x")
    listed = [Row(n, n + 1, {"id": i, "answer": a}) for n, (i, a) in enumerate(rows, start=1)]
    table = Table(Path("x"), ("id", "answer"), tuple(listed), "")
    check_rows(table, CHOICES, found, SubmissionFormat())
    right = [i for i, _ in rows] == list(CHOICES) and all(
        a.isdigit() and 1 <= int(a) <= CHOICES[i] for i, a in rows
    )
    assert (len(found) == 0) == right


REAL = {
    "output_5829": None,
    "output_all_ones": None,
    "output_gemma_baseline": None,
    "output_infront_answer": [
        "96 × answer is not a whole number",
        "generation-for-nlp-2: '정'",
    ],
    "output_malformed_answers": [
        "547 × answer is not a whole number",
        "2 × answer out of range",
        "generation-for-nlp-438: 5 of 4 choices",
    ],
}


@pytest.mark.parametrize("name", REAL)
def test_real_submissions_are_accepted_or_refused(shared_data, name):
    folder = shared_data / "competition"
    file, wrong = folder / "sample_outputs" / f"{name}.csv", REAL[name]
    if wrong is None:
        said = validate(file, folder / "test.csv")
        assert "valid format: 869 rows" in said
        assert "halves of 434 and 435" in said
        return
    with pytest.raises(UserError) as caught:
        validate(file, folder / "test.csv")
    for said in wrong:
        assert said in str(caught.value)
