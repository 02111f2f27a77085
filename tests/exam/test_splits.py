"""Near-duplicate passages, overlaps and splits: a passage is never on both sides."""

import itertools
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from solution.core import UserError
from solution.exam import (
    Exam,
    Overlap,
    Question,
    content_hash,
    near_duplicate_groups,
    overlaps,
    read_exam,
    split_validation,
)

TEXT = "소백 마을의 장터는 강을 건너는 나루 옆에 있어서 닷새마다 배가 모여들고 사람들이 붐빈다"


def ask(paragraph, id="q", choices=4, answer=1):
    options = tuple(f"선택 {n}" for n in range(choices))
    return Question(id, paragraph, "무엇인가?", options, answer)


def groups(*paragraphs):
    return near_duplicate_groups([ask(paragraph) for paragraph in paragraphs])


def test_equal_and_nearly_equal_paragraphs_share_a_group():
    spaced = TEXT.replace(" ", "  ") + " "
    changed = TEXT.replace("닷새", "이틀")
    assert groups(TEXT, "전혀 다른 글이다", spaced, changed) == [0, 1, 0, 0]


def test_groups_are_transitive():
    step = len(TEXT.replace(" ", "")) // 12
    letters = TEXT.replace(" ", "")
    second = "x" * step + letters[step:]
    third = "x" * step + letters[step:-step] + "y" * step
    assert groups(letters, third) == [0, 1]
    assert groups(letters, second, third) == [0, 0, 0]


def test_blank_paragraphs_are_each_their_own_group():
    assert groups("", " \n", "", TEXT) == [0, 1, 2, 3]


def test_no_questions_have_no_groups():
    assert near_duplicate_groups([]) == []


def longest_common(a, b):
    row = [0] * (len(b) + 1)
    for x in a:
        previous, row = row, [0]
        for j, y in enumerate(b):
            row.append(previous[j] + 1 if x == y else max(previous[j + 1], row[j]))
    return row[-1]


def similar(a, b):
    return 200 * longest_common(a, b) >= 90 * (len(a) + len(b))


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32), st.integers(2, 8))
def test_groups_are_the_closure_of_the_pairs_that_are_90_percent_similar(seed, size):
    rng = random.Random(seed)
    texts = ["".join(rng.choices("가나다라마바사아자차카타파하", k=rng.randint(5, 30)))]
    while len(texts) < size:
        letters = list(rng.choice(texts))
        for _ in range(rng.randint(1, 3)):
            letters[rng.randrange(len(letters))] = rng.choice("가나다xy")
        texts.append("".join(letters))
    expected = list(range(size))
    for i, j in itertools.combinations(range(size), 2):
        if similar(texts[i], texts[j]):
            expected = [expected[i] if n == expected[j] else n for n in expected]
    found = groups(*texts)
    assert len(set(found)) == len(set(expected)) == len(set(zip(found, expected, strict=True)))


def exam_of(*questions):
    return Exam(Path("x.csv"), questions, "0")


def test_overlaps_ignore_white_space_and_the_order_of_choices():
    one = Question("a", "지 문", "물음?", ("가 나", "다", "라"), 1)
    moved = Question("t1", "지문 ", "물음?", ("라", "다", "가나"))
    copied = Question("t2", "지 문", "물음?", ("가 나", "다", "라"))
    other = Question("t3", "지문", "물음?", ("라", "다", "마"))
    found = overlaps(exam_of(one), exam_of(moved, copied, other))
    assert found == [Overlap("a", "t1"), Overlap("a", "t2")]


def test_questions_that_differ_only_in_question_plus_are_two_questions():
    one = replace(ask(TEXT, "a"), question_plus="<보기> ㄱ. 나루가 있다")
    other = replace(ask(TEXT, "b"), question_plus="<보기> ㄱ. 나루가 없다")
    respaced = replace(ask(TEXT, "c"), question_plus="<보기>ㄱ.나루가 있다 ")
    assert overlaps(exam_of(one), exam_of(other)) == []
    assert overlaps(exam_of(one), exam_of(respaced)) == [Overlap("a", "c")]
    assert content_hash(one) != content_hash(other)
    assert content_hash(one) == content_hash(respaced)


def test_every_train_copy_of_a_test_row_is_found():
    row = ask(TEXT, "t")
    train = exam_of(ask(TEXT, "a"), ask("다른 글", "b"), ask(TEXT, "c"))
    assert [found.train for found in overlaps(train, exam_of(row))] == ["a", "c"]


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(st.integers(0, 15), st.integers(1, 4)), min_size=2, max_size=60),
    st.floats(0.05, 0.6),
    st.integers(0, 3),
)
def test_a_passage_is_never_on_both_sides(rows, fraction, seed):
    assume(len({passage for passage, _ in rows}) > 2)
    rng = random.Random(7)
    texts = ["".join(rng.choices("가나다라마바사아자차카타파하", k=60)) for _ in range(16)]
    questions = [ask(texts[passage], answer=answer) for passage, answer in rows]
    try:
        train, validation = split_validation(questions, fraction, seed)
    except UserError:
        return
    assert sorted(train + validation) == list(range(len(rows)))
    assert train == sorted(train)
    assert train
    assert validation
    found = near_duplicate_groups(questions)
    assert not {found[i] for i in train} & {found[i] for i in validation}
    assert split_validation(questions, fraction, seed) == (train, validation)


def test_every_stratum_gets_its_fraction():
    rng = random.Random(0)
    questions = [
        ask(str(rng.random()) * 3, choices=4 + n % 2, answer=1 + n % 4) for n in range(400)
    ]
    _, validation = split_validation(questions, 0.2, seed=1)
    counts = Counter((len(questions[i].choices), questions[i].answer) for i in validation)
    assert set(counts.values()) == {20}


def test_few_questions_of_many_kinds_are_still_split():
    rng = random.Random(0)
    kinds = [(choices, answer) for choices in (4, 5) for answer in range(1, 5)]
    questions = [ask(str(rng.random()), "q", *kind) for kind in kinds]
    train, validation = split_validation(questions, 0.25, seed=0)
    assert (len(train), len(validation)) == (6, 2)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1])
def test_a_fraction_outside_0_and_1_is_an_error(fraction):
    with pytest.raises(UserError, match="between 0 and 1"):
        split_validation([ask("a"), ask("b")], fraction, 0)


def test_questions_on_one_passage_cannot_be_split():
    with pytest.raises(UserError, match="on 1 different passages"):
        split_validation([ask(TEXT), ask(TEXT)], 0.5, 0)


def test_the_real_train_file_is_split_by_passage(shared_data):
    questions = read_exam(shared_data / "competition" / "train.csv", answers=True).questions
    train, validation = split_validation(questions, 0.1, 0)
    assert abs(len(validation) - 203) <= 5
    found = near_duplicate_groups(questions)
    assert not {found[i] for i in train} & {found[i] for i in validation}


def test_the_real_files_share_one_question_but_for_white_space(shared_data):
    folder = shared_data / "competition"
    found = overlaps(read_exam(folder / "train.csv"), read_exam(folder / "test.csv"))
    assert found == [Overlap("generation-for-nlp-490", "generation-for-nlp-485")]


@pytest.mark.parametrize("tens", range(1, 40))
def test_exactly_90_percent_is_similar(tens):
    short = "".join(chr(0xAC00 + n) for n in range(9 * tens))
    assert groups(short, short + "x" * 2 * tens) == [0, 0]
    assert groups(short, short + "x" * (2 * tens + 1)) == [0, 1]


def test_the_real_test_file_shares_62_paragraphs_between_206_questions(shared_data):
    questions = read_exam(shared_data / "competition" / "test.csv").questions
    by_text = Counter(question.paragraph for question in questions)
    shared = {text for text, count in by_text.items() if count > 1}
    rows = [n for n, question in enumerate(questions) if question.paragraph in shared]
    found = near_duplicate_groups(questions)
    assert (len(shared), len(rows)) == (62, 206)
    assert len({found[n] for n in rows}) <= 62
    assert len(set(found)) == 714
