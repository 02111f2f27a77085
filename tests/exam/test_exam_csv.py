"""Reading and writing exams: accepted formats, normalisation and the round trip."""

import csv
import io
import json
from collections import Counter

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from solution.exam import Question, read_exam, write_exam
from solution.exam.layouts import is_missing

BODY = {"question": "옳은 것은?", "choices": ["가", "나", "다", "라"], "answer": 2}


def write_rows(path, *rows, columns=("id", "paragraph", "problems", "question_plus")):
    """A CSV of the given rows; a dict as `problems` is written as its Python repr."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([[repr(v) if isinstance(v, dict) else v for v in row] for row in rows])
    path.write_text(out.getvalue(), encoding="utf-8")
    return path


def read_one(tmp_path, problems, plus="", paragraph="지문"):
    path = write_rows(tmp_path / "exam.csv", ("a", paragraph, problems, plus))
    return read_exam(path).questions[0]


def test_a_python_repr_is_read(tmp_path):
    question = read_one(tmp_path, BODY)
    assert question == Question("a", "지문", "옳은 것은?", ("가", "나", "다", "라"), 2)


def test_json_is_read_with_its_own_escapes(tmp_path):
    body = BODY | {"question": "이모지 😀 a/b"}
    text = json.dumps(body).replace("/", "\\/")
    assert read_one(tmp_path, text).question == "이모지 😀 a/b"


@pytest.mark.parametrize("blank", ["", "  ", None])
def test_a_blank_answer_is_no_answer(tmp_path, blank):
    assert read_one(tmp_path, BODY | {"answer": blank}).answer is None


def test_a_missing_answer_is_no_answer(tmp_path):
    assert read_one(tmp_path, {k: v for k, v in BODY.items() if k != "answer"}).answer is None


def test_an_answer_written_as_text_is_a_number(tmp_path):
    assert read_one(tmp_path, BODY | {"answer": "3"}).answer == 3


@pytest.mark.parametrize("count", [2, 3, 10])
def test_two_to_ten_choices_are_read(tmp_path, count):
    body = BODY | {"choices": [f"선택 {n}" for n in range(count)], "answer": count}
    assert len(read_one(tmp_path, body).choices) == count


@pytest.mark.parametrize(
    ("column", "inside"),
    [
        ("보기", None),
        ("", "보기"),
        ("보기", "보기"),
        ("보기", "보기 "),
        ("보기", ""),
        (" ", "보기"),
    ],
)
def test_question_plus_may_be_a_column_a_key_or_both(tmp_path, column, inside):
    body = BODY if inside is None else BODY | {"question_plus": inside}
    assert read_one(tmp_path, body, plus=column).question_plus.strip() == "보기"


def test_the_question_plus_column_is_optional(tmp_path):
    path = write_rows(
        tmp_path / "e.csv", ("a", "지문", BODY), columns=("id", "paragraph", "problems")
    )
    assert read_exam(path).questions[0].question_plus == ""


def test_subject_and_source_are_read(tmp_path):
    columns = ("id", "paragraph", "problems", "subject", "source")
    path = write_rows(tmp_path / "e.csv", ("a", "", BODY, "사회", "직접"), columns=columns)
    question = read_exam(path).questions[0]
    assert (question.subject, question.source) == ("사회", "직접")


def test_bom_crlf_and_newlines_in_fields_are_read(tmp_path):
    plain = write_rows(tmp_path / "plain.csv", ("a", '첫 줄\n"둘째", 줄', BODY, "x\ny"))
    text = plain.read_text(encoding="utf-8").replace("\n", "\r\n")
    windows = tmp_path / "windows.csv"
    windows.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert read_exam(windows).questions == read_exam(plain).questions


def test_text_is_normalised_to_nfc_but_the_id_is_not(tmp_path):
    apart = "한"
    body = BODY | {"choices": [apart, "나"]}
    path = write_rows(tmp_path / "e.csv", (apart, apart, body, ""))
    question = read_exam(path).questions[0]
    assert (question.id, question.paragraph, question.choices[0]) == (apart, "한", "한")


def test_private_use_characters_are_kept(tmp_path):
    body = BODY | {"question": "\U000f0001\ue000"}
    question = read_one(tmp_path, body, paragraph="\ue123")
    assert (question.paragraph, question.question) == ("\ue123", "\U000f0001\ue000")


def test_columns_and_keys_that_are_not_used_are_named(tmp_path, capsys):
    columns = ("id", "paragraph", "problems", "hint")
    row = ("a", "", BODY | {"explanation": "x"}, "h")
    read_exam(write_rows(tmp_path / "e.csv", row, columns=columns))
    noted = capsys.readouterr().err
    assert "column 'hint'" in noted
    assert "1 × unused key explanation in problems" in noted


def test_a_long_paragraph_is_read(tmp_path):
    assert len(read_one(tmp_path, BODY, paragraph="가" * 300_000).paragraph) == 300_000


LINE = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), include_characters="\n\t\"',"), max_size=40
).filter(lambda text: not is_missing(text))
FILLED = LINE.filter(str.strip)


@st.composite
def questions(draw):
    """Any question, in NFC as the reader gives it."""
    from unicodedata import normalize

    nfc = [normalize("NFC", draw(FILLED)) for _ in range(draw(st.integers(2, 10)))]
    return Question(
        id=str(draw(st.integers(0, 10**9))),
        paragraph=normalize("NFC", draw(LINE)),
        question=normalize("NFC", draw(FILLED)),
        choices=tuple(nfc),
        answer=draw(st.none() | st.integers(1, len(nfc))),
        question_plus=normalize("NFC", draw(LINE)),
        subject=draw(st.sampled_from(["", "국어", "사회"])),
    )


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@example([Question("0", "", "\U0001428a\u0323", ("0", "1"))])  # the escape's a, then a mark
@given(st.lists(questions(), min_size=1, max_size=4, unique_by=lambda q: q.id))
def test_any_exam_round_trips(tmp_path, written):
    write_exam(tmp_path / "e.csv", written)
    assert list(read_exam(tmp_path / "e.csv").questions) == written


def test_an_unterminated_write_leaves_no_file(tmp_path):
    with pytest.raises(UnicodeEncodeError):
        write_exam(tmp_path / "e.csv", [Question("a", "\ud800", "q", ("가", "나"))])
    assert list(tmp_path.iterdir()) == []


REAL = {"train": (2031, 0, {4: 792, 5: 1239}), "test": (869, 44, {4: 163, 5: 706})}


@pytest.mark.parametrize("name", REAL)
def test_the_real_files_are_read_and_round_trip(shared_data, tmp_path, name):
    rows, plus, choices = REAL[name]
    exam = read_exam(shared_data / "competition" / f"{name}.csv", answers=name == "train")
    assert len(exam) == rows
    assert sum(bool(q.question_plus) for q in exam.questions) == plus
    assert Counter(len(q.choices) for q in exam.questions) == choices
    assert all((q.answer is None) == (name == "test") for q in exam.questions)
    write_exam(tmp_path / "again.csv", exam.questions)
    assert read_exam(tmp_path / "again.csv").questions == exam.questions
