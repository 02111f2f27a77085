"""`submit score`: accuracy on both halves with its interval."""

import pytest
from scipy.stats import binomtest

from solution.core import UserError
from solution.exam import AnswerKey, public_private_split, write_answer_key
from solution.submit import score
from solution.submit.score import wilson


def write(folder, answers, key):
    solution = AnswerKey(key, public_private_split(list(key)))
    write_answer_key(folder / "key.csv", solution)
    rows = "".join(f"{id},{answer}\n" for id, answer in answers.items())
    (folder / "mine.csv").write_text("id,answer\n" + rows)
    return folder / "mine.csv", folder / "key.csv"


def test_right_answers_are_counted_for_each_half(tmp_path):
    key = {f"q{n}": 1 + n % 5 for n in range(9)}
    usage = public_private_split(list(key))
    answers = {id: key[id] if usage[id] == "Public" else 1 + key[id] % 5 for id in key}
    table = [line.split() for line in score(*write(tmp_path, answers, key)).splitlines()]
    assert table[1][:4] == ["public", "4", "4", "1.0000"]
    assert table[2][:4] == ["private", "0", "5", "0.0000"]
    assert table[3][:4] == ["all", "4", "9", "0.4444"]


def test_a_half_without_rows_has_no_accuracy(tmp_path):
    table = score(*write(tmp_path, {"q": 1}, {"q": 1})).splitlines()
    assert table[1].split() == ["public", "0", "0"]


@pytest.mark.parametrize(("right", "rows"), [(0, 5), (5, 5), (330, 434), (1, 2)])
def test_the_interval_is_wilsons(right, rows):
    expected = binomtest(right, rows).proportion_ci(0.95, method="wilson")
    assert wilson(right, rows) == pytest.approx((expected.low, expected.high), abs=1e-6)


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"a": 1}, "1 × missing id: b"),
        ({"a": 1, "b": 2, "c": 3}, "not in the exam: 'c'"),
        ({"a": "정", "b": 2}, "not a whole number"),
        ({"a": 11, "b": 2}, "out of range"),
    ],
)
def test_a_submission_to_another_exam_is_refused(tmp_path, answers, said):
    with pytest.raises(UserError, match=said) as caught:
        score(*write(tmp_path, answers, {"a": 1, "b": 2}))
    assert "key.csv" in str(caught.value)


def test_a_malformed_key_is_refused(tmp_path):
    mine, key = write(tmp_path, {"a": 1}, {"a": 1})
    key.write_text("id,answer\na,1\n")
    with pytest.raises(UserError, match="Usage"):
        score(mine, key)
