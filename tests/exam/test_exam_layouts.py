"""Files as Excel, pandas, Kaggle and the hub write them: read, or refused by the cause."""

import json

import pytest

from solution.core import UserError
from solution.exam import Question, read_exam

GOOD = {"question": "강가에 있는 것은?", "choices": ["배", "산", "들"], "answer": 2}
HEAD = "id,paragraph,problems,question_plus\n"
CELL = '"' + repr(GOOD).replace('"', '""') + '"'
ROW = f"7,글,{CELL},\n"
SPLIT = {"id": "7", "paragraph": "글", "question": "강가에 있는 것은?"}
EXPECTED = Question("7", "글", "강가에 있는 것은?", ("배", "산", "들"), 2)
LETTERS = "7,글,강가에 있는 것은?,배,산,들,{}\n"
LETTER_HEAD = "id,passage,question,A,B,C,answer\n"


def flat(**changes):
    return SPLIT | {"choices": ["배", "산", "들"], "answer": 2} | changes


READ = {
    "the contest's CSV": HEAD + ROW,
    "CRLF": (HEAD + ROW).replace("\n", "\r\n"),
    "a byte order mark": "\ufeff" + HEAD + ROW,
    "two byte order marks": "\ufeff\ufeff" + HEAD + ROW,
    "semicolons": f"id;paragraph;problems;question_plus\n7;글;{CELL};\n",
    "tabs": f"id\tparagraph\tproblems\tquestion_plus\n7\t글\t{CELL}\t\n",
    "Excel's sep= line": f"sep=;\nid;paragraph;problems\n7;글;{CELL}\n",
    "empty rows of Excel": HEAD + ROW + ",,,\n,,,\n",
    "an index column of pandas": ",id,paragraph,problems\n" + f"0,7,글,{CELL}\n",
    "JSON": json.dumps([flat()], ensure_ascii=False),
    "indented JSON": json.dumps([flat()], ensure_ascii=False, indent=2),
    "JSON lines": json.dumps(flat()) + "\n",
    "JSON lines with blank lines": "\n" + json.dumps(flat()) + "\n\n",
    "JSON with nested problems": json.dumps([{"id": 7, "paragraph": "글", "problems": GOOD}]),
    "JSON with null": json.dumps([flat(question_plus=None)]),
    "JSON answers as letters": json.dumps([flat(answer="B")]),
    "choices as the hub has them": json.dumps(
        [
            SPLIT
            | {"choices": {"text": ["배", "산", "들"], "label": ["A", "B", "C"]}}
            | {"answerKey": "B"}
        ]
    ),
    "the answer as the choice's text": json.dumps([flat(answer="산")]),
    "question and choices in columns": (
        "id,paragraph,question,choices,answer,question_plus\n"
        "7,글,강가에 있는 것은?,\"['배', '산', '들']\",2,\n"
    ),
    "a separate answer column": (
        "id,paragraph,problems,answer\n7,글,\"{'question': '강가에 있는 것은?', "
        "'choices': ['배', '산', '들']}\",2\n"
    ),
    "the same answer twice": f"id,paragraph,problems,answer\n7,글,{CELL},2\n",
    "an answer as pandas writes floats": LETTER_HEAD + LETTERS.format("2.0"),
    "Kaggle's letters": LETTER_HEAD + LETTERS.format("B"),
    "letters in lower case": LETTER_HEAD.replace("A,B,C", "a,b,c") + LETTERS.format("b"),
    "KMMLU's numbers": LETTER_HEAD + LETTERS.format("2"),
    "a circled number": LETTER_HEAD + LETTERS.format("②"),
    "a number with its counter": LETTER_HEAD + LETTERS.format("2번"),
    "a number in brackets": LETTER_HEAD + LETTERS.format("(2)"),
    "choice1 to choice3": LETTER_HEAD.replace("A,B,C", "choice1,choice2,choice3")
    + LETTERS.format("2"),
    "choice_0 to choice_2": LETTER_HEAD.replace("A,B,C", "choice_0,choice_1,choice_2")
    + LETTERS.format("2"),
    "option_a to option_c": LETTER_HEAD.replace("A,B,C", "option_a,option_b,option_c")
    + LETTERS.format("2"),
    "Korean names": "번호,지문,질문,선택지1,선택지2,선택지3,정답\n" + LETTERS.format("2"),
    "a column more for rows of five": "id,passage,prompt,A,B,C,D,answer\n"
    "7,글,강가에 있는 것은?,배,산,들,,B\n",
    "nan where a row has fewer choices": "id,passage,prompt,A,B,C,D,answer\n"
    "7,글,강가에 있는 것은?,배,산,들,nan,B\n",
    "columns separated by |": f"id|paragraph|problems|question_plus\n7|글|{CELL}|\n",
    "line ends of an old Mac": (HEAD + ROW).replace("\n", "\r"),
    "choices under letters, as MedQA has them": json.dumps(
        [SPLIT | {"options": {"A": "배", "B": "산", "C": "들"}, "answer": "B"}]
    ),
    "RACE's names": json.dumps(
        [
            {"id": 7, "article": "글", "question": SPLIT["question"], "answer": "B"}
            | {"options": ["배", "산", "들"]}
        ]
    ),
    "보기1 to 보기3": "번호,지문,질문,보기1,보기2,보기3,정답\n" + LETTERS.format("2"),
    "opt1 to opt3": LETTER_HEAD.replace("A,B,C", "opt1,opt2,opt3") + LETTERS.format("2"),
    "KMMLU's columns": "question,answer,A,B,C,Category,id,passage\n"
    "강가에 있는 것은?,2,배,산,들,,7,글\n",
    "NaN as Python's JSON writes it": json.dumps([flat(question_plus=float("nan"))]),
    "nan in question_plus": HEAD + f"7,글,{CELL},nan\n",
    "None in question_plus": HEAD + f"7,글,{CELL},None\n",
    "a dash in question_plus": HEAD + f"7,글,{CELL},-\n",
}
REFUSED = {
    "nan as a choice": (HEAD + ROW.replace("'들'", "'nan'"), "as choice 3, found 'nan'"),
    "a bare nan in problems": (HEAD + ROW.replace("'들'", "nan"), "nan, a missing value"),
    "a numpy array": (
        HEAD + ROW.replace("['배', '산', '들']", "array(['배'])"),
        "a numpy array",
    ),
    "a numpy array without commas": (HEAD + ROW.replace("', '", "' '"), "without a comma"),
    "a numpy number": (HEAD + ROW.replace(": 2", ": np.int64(2)"), "a numpy number"),
    "answers from 0": (LETTER_HEAD + LETTERS.format("0"), "not from 0"),
    "an answer beyond the choices": (
        LETTER_HEAD + LETTERS.format("D"),
        "from 1 to 3, found 'D'",
    ),
    "a text that is no choice": (json.dumps([flat(answer="강")]), "found '강'"),
    "answers that differ": (f"id,paragraph,problems,answer\n7,글,{CELL},3\n", "differ"),
    "a hole in the choices": (LETTER_HEAD + "7,글,물음,배,,들,A\n", "as choice 2, found ''"),
    "no question": ("id,text,A,B\n1,글,가,나\n", "no column for question"),
    "no choices": ("id,question,answer\n1,물음,2\n", "no column for choices"),
    "a list of lists": ("[[1, 2]]", "expected an object"),
    "broken JSON lines": ('{"id": 1}\n{"id": \n', "line 2 is not valid JSON"),
    "an HTML page": ("<!DOCTYPE html>\n<html>\n</html>\n", "no column for question"),
    "JSON by columns": ('{"id": {"0": 7}, "question": {"0": "물음"}}', "orient='records'"),
    "rows inside a key": (json.dumps({"data": [flat(), flat()]}), "inside the key 'data'"),
    "two files joined": (HEAD + ROW + HEAD + ROW, "row 2 (line 3): repeats the header"),
    "a pointer of Git LFS": ("version https://git-lfs.github.com/spec/v1\noid x\n", "LFS"),
    "a parquet file of the hub": ("PAR1....", "read_parquet"),
    "choices by numpy in a column": (
        "id,question,choices,answer\n7,물음,\"['배' '산'\n '들']\",2\n",
        "choices: expected a Python dict of texts, lists and numbers, or JSON, found two texts",
    ),
    "choices as lines of a cell": (
        'id,question,choices,answer\n7,물음,"배\n산",2\n',
        "7: choices: expected",
    ),
    "several answers": (LETTER_HEAD + LETTERS.format('"A,B"'), "found 'A,B'"),
    "an answer of full width": (LETTER_HEAD + LETTERS.format("２"), "found '２'"),
    "no header": ("7,강가에 있는 것은?,배,산,들,2\n", "in the first line"),
    "a submission": ("id,answer\n1,2\n", "no column for question and choices"),
}


def read(tmp_path, content, **options):
    path = tmp_path / "exam.csv"
    path.write_text(content, encoding="utf-8", newline="")
    return read_exam(path, **options)


@pytest.mark.parametrize("name", READ)
def test_files_of_other_programs_are_read(tmp_path, name):
    assert read(tmp_path, READ[name]).questions == (EXPECTED,)


@pytest.mark.parametrize("name", REFUSED)
def test_mistakes_are_refused_by_their_cause(tmp_path, name):
    content, cause = REFUSED[name]
    with pytest.raises(UserError) as raised:
        read(tmp_path, content)
    assert cause in str(raised.value)


def test_what_was_recognised_is_one_line(tmp_path, capsys):
    rows = "".join(LETTERS.format(letter) for letter in "AB").replace("7,글", "8,글", 1)
    exam = read(
        tmp_path, LETTER_HEAD.replace("id,", "") + rows.replace("7,", "").replace("8,", "")
    )
    noted = capsys.readouterr().err
    assert noted.count("\n") == 1
    assert "passage as paragraph; choices in columns A to C, row numbers as ids" in noted
    assert [q.id for q in exam.questions] == ["1", "2"]
    assert exam.submission.letters


def test_answers_by_text_are_not_taken_for_numbers(tmp_path, capsys):
    rows = [flat(choices=["2", "4", "8"], answer="4"), flat(id="8", answer="산")]
    assert [q.answer for q in read(tmp_path, json.dumps(rows)).questions] == [2, 2]
    assert "answers are texts of choices" in capsys.readouterr().err
    numbers = [flat(choices=["2", "4", "8", "1"], answer="4"), flat(id="8", answer="3")]
    assert [q.answer for q in read(tmp_path, json.dumps(numbers)).questions] == [4, 3]
    wrong = [flat(choices=["5", "6"], answer=5), flat(id="8", choices=["2", "1"], answer=1)]
    with pytest.raises(UserError, match="from 1 to 2, found '5'"):
        read(tmp_path, json.dumps([*wrong, flat(id="9", answer=1)]))


def test_choices_under_letters_make_letters_of_the_submission(tmp_path):
    options = {"A": "배", "B": "산"}
    rows = [SPLIT | {"options": options}, SPLIT | {"id": "8", "options": options}]
    assert read(tmp_path, json.dumps(rows)).submission.letters
    rows[1]["options"] = ["배", "산"]
    assert not read(tmp_path, json.dumps(rows)).submission.letters


def test_blank_values_of_other_programs_are_counted(tmp_path, capsys):
    read(tmp_path, HEAD + ROW.replace("7,글", "1,None") + ROW.replace(",\n", ",NaN\n"))
    noted = capsys.readouterr().err
    assert "1 × paragraph 'None', taken as blank" in noted
    assert "1 × question_plus 'NaN', taken as blank" in noted


def test_columns_are_mapped_by_name(tmp_path):
    content = "key,글,발문?,A,B,C,x\n7,글,강가에 있는 것은?,배,산,들,2\n"
    columns = {"id": "key", "paragraph": "글", "question": "발문?", "answer": "x"}
    assert read(tmp_path, content, columns=columns).questions == (EXPECTED,)
    with pytest.raises(UserError, match="maps question to 'nothing', which is missing"):
        read(tmp_path, content, columns={"question": "nothing"})
    with pytest.raises(UserError, match="unknown part 'stem'"):
        read(tmp_path, content, columns={"stem": "글"})
