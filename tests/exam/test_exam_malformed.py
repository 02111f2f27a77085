"""Malformed exams: exit code 2, one message with file, row and fix, and nothing written."""

import gzip
from pathlib import Path

import pytest

from solution.cli import main
from solution.core import UserError
from solution.exam import read_exam

HEAD = "id,paragraph,problems,question_plus\n"
GOOD = "{'question': '물음', 'choices': ['가', '나', '다', '라'], 'answer': 1}"


def row(problems=GOOD, id="a", plus=""):
    """One line of an exam file."""
    return ",".join('"' + text.replace('"', '""') + '"' for text in (id, "글", problems, plus))


def body(old, new):
    """A file whose one row has a piece of its good `problems` replaced."""
    assert old in GOOD
    return HEAD + row(GOOD.replace(old, new)) + "\n"


CODE = "__import__('os').system('touch pwned')"
# name: (content, part of the message)
MALFORMED = {
    "empty file": ("", "empty"),
    "white space only": (" \n\n", "empty"),
    "header only": (HEAD, "no questions"),
    "binary": (b"\x7fELF\x00\x01\x02", "NUL byte on line 1"),
    "damaged UTF-8": (HEAD.encode() + b"a,\xff\xff\xfe,x,\n", "0xff on line 2"),
    "Excel workbook": (b"PK\x03\x04...", "Excel"),
    "gzip": (gzip.compress(HEAD.encode()), "gzip"),
    "parquet": (b"PAR1....", "parquet"),
    "UTF-16": (HEAD.encode("utf-16"), "UTF-16"),
    "CP949": ((HEAD + row()).encode("cp949"), "CP949"),
    "NUL in a field": (HEAD + row(id="a\0b"), "NUL"),
    "missing column": ("id,paragraph\na,b\n", "no column for question and choices"),
    "semicolons": ("id;paragraph;problems\na;b;c\n", "not run"),
    "column twice": ("id,paragraph,problems,id\na,b,c,d\n", "duplicate column 'id'"),
    "too few fields": (HEAD + "a,b\n", "row 1 (line 2): expected 4 fields"),
    "too many fields": (HEAD + row() + ",x\n", "found 5"),
    "open quotation mark": (HEAD + row() + '\nb,"글,x,\n', "begins on line 3"),
    "stray quotation mark": (HEAD + 'a,"b"c,x,\n', "begins on line 2"),
    "blank id": (HEAD + row(id=""), "no id: id: expected text"),
    "blanks around id": (HEAD + row(id=" a"), "found ' a'"),
    "duplicate id": (
        f"{HEAD}{row()}\n{row()}\n",
        "row 2 (line 3), a: duplicate id (first used in row 1",
    ),
    "blank problems": (HEAD + row(""), "problems: expected a Python dict"),
    "unparsable problems": (HEAD + row(GOOD[:-1]), "cannot be parsed"),
    "code as problems": (HEAD + row(CODE), "not run"),
    "code as a value": (body("'물음'", CODE), "not run"),
    "a name as a value": (body("1}", "nan}"), "nan, a missing value"),
    "a list as problems": (HEAD + row("['a']"), "found a list"),
    "key twice": (body("'answer'", "'choices'"), "duplicate key 'choices'"),
    "JSON key twice": (
        HEAD + row('{"question": "q", "choices": ["a", "b"], "answer": 1, "answer": 2}'),
        "duplicate key 'answer'",
    ),
    "deep nesting": (HEAD + row("[" * 50_000), "nested"),
    "long chain of signs": (HEAD + row("-" * 100_000 + "1"), "nested"),
    "endless problems": (
        HEAD + row("{'question': '" + "가" * 200_000 + "'}"),
        "at most 200000",
    ),
    "number of many digits": (body("1}", "9" * 5000 + "}"), "problems"),
    "no question": (
        body("'question'", "'ask'"),
        "problems.question: expected text, found nothing",
    ),
    "blank question": (body("'물음'", "'  '"), "problems.question: expected text"),
    "question no text": (body("'물음'", "7"), "found 7"),
    "no choices": (body("'choices'", "'options'"), "problems.choices: expected 2 to 10"),
    "choices as text": (body("['가', '나', '다', '라']", "'가나다라'"), "found '가나다라'"),
    "one choice": (body("['가', '나', '다', '라']", "['가']"), "2 to 10 choices, found 1"),
    "eleven choices": (body("['가', '나', '다', '라']", str(["가"] * 11)), "found 11"),
    "blank choice": (body("'다'", "' '"), "choice 3, found ' '"),
    "choice no text": (body("'다'", "3"), "choice 3, found 3"),
    "half a surrogate": (body("'다'", r"'\ud800'"), "surrogate"),
    "answer 0": (body("1}", "0}"), "whole number from 1 to 4, found 0"),
    "answer beyond the choices": (body("1}", "5}"), "from 1 to 4, found 5"),
    "answer 6 of five": (
        body("'라'], 'answer': 1", "'라', '마'], 'answer': 6"),
        "from 1 to 5, found 6",
    ),
    "answer true": (body("1}", "True}"), "found True"),
    "answer a fraction": (body("1}", "1.5}"), "found 1.5"),
    "answer a word": (body("1}", "'정'}"), "found '정'"),
    "two question_plus": (
        HEAD + row(GOOD[:-1] + ", 'question_plus': '안'}", plus="밖"),
        "column '밖', problems '안'",
    ),
    "question_plus no text": (HEAD + row(GOOD[:-1] + ", 'question_plus': 3}"), "found 3"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_exam_is_one_error_message(name, tmp_path, monkeypatch, capsys):
    content, message = MALFORMED[name]
    monkeypatch.chdir(tmp_path)
    exam = Path("exam.csv")
    exam.write_bytes(content if isinstance(content, bytes) else content.encode())
    Path("submission.csv").write_text("id,answer\na,1\n")

    status = main(["submit", "validate", "submission.csv", "--exam", "exam.csv"])

    printed = capsys.readouterr()
    assert status == 2
    assert printed.out == ""
    assert printed.err.startswith("error: exam.csv: ")
    assert message in printed.err
    assert "Traceback" not in printed.err
    assert sorted(path.name for path in Path().iterdir()) == ["exam.csv", "submission.csv"]


@pytest.mark.parametrize("path", ["absent.csv", "."])
def test_an_exam_that_is_not_a_file_is_an_error(tmp_path, path):
    with pytest.raises(UserError, match="cannot be read"):
        read_exam(tmp_path / path)


def test_training_data_needs_every_answer(tmp_path):
    path = tmp_path / "train.csv"
    path.write_text(HEAD + row() + "\n" + row(GOOD.replace("1}", "''}"), id="b") + "\n")
    assert len(read_exam(path)) == 2
    with pytest.raises(UserError, match=r"row 2 \(line 3\), b: answer: .*found none"):
        read_exam(path, answers=True)


def test_every_wrong_row_is_listed_and_those_beyond_twenty_are_counted(tmp_path):
    path = tmp_path / "exam.csv"
    bad = [row(GOOD.replace("1}", "9}"), id=f"q{n}") for n in range(27)]
    path.write_text(HEAD + "\n".join([row(), *bad]) + "\n")
    with pytest.raises(UserError) as caught:
        read_exam(path)
    text = str(caught.value)
    assert "27 problems" in text
    assert "row 2 (line 3), q0" in text
    assert "row 21 (line 22), q19" in text
    assert "q20" not in text
    assert "and 7 more" in text
    assert "Fix these rows" in text


def test_the_line_of_a_row_counts_newlines_in_earlier_fields(tmp_path):
    path = tmp_path / "exam.csv"
    path.write_text(HEAD + row(plus="하나\n둘\n셋") + "\n\n" + row("{}", id="b") + "\n")
    with pytest.raises(UserError, match=r"row 2 \(line 6\), b: problems.question"):
        read_exam(path)


def test_code_in_problems_is_never_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "exam.csv"
    path.write_text(HEAD + row(CODE) + "\n" + row(GOOD.replace("'물음'", CODE), id="b") + "\n")
    with pytest.raises(UserError, match="2 problems"):
        read_exam(path)
    assert not (tmp_path / "pwned").exists()
