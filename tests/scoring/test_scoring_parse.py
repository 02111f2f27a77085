"""What the parser reads in generated texts: a large table, and that it never falls over."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solution.scoring import read_answer

ANSWERED = [
    # mere labels
    ("3", 3),
    (" 3\n", 3),
    ("3.", 3),
    ("3번", 3),
    ("3 번", 3),
    ("3번입니다.", 3),
    ("3입니다", 3),
    ("3이다.", 3),
    ("(3)", 3),
    ("[3]", 3),
    ("③", 3),
    ("③번", 3),
    ("**3**", 3),
    ("**3번**", 3),
    ("`3`", 3),
    ('"3"', 3),
    ("３", 3),
    ("（３）", 3),
    ("3) 서울", 3),
    ("3. 서울", 3),
    ("3 - 서울", 3),
    ("3번 서울", 3),
    ("③ 서울", 3),
    ("(3) 서울은 수도이다", 3),
    ("3: 서울", 3),
    # statements
    ("정답은 3", 3),
    ("정답은 3번", 3),
    ("정답은 3번입니다.", 3),
    ("정답은 3번이다.", 3),
    ("정답은 ③입니다.", 3),
    ("정답은 (3)입니다.", 3),
    ("정답은 '3번'입니다.", 3),
    ("정답은 **3번**입니다.", 3),
    ("정답은 **③ 서울**입니다.", 3),
    ("정답: 3", 3),
    ("정답 : 3", 3),
    ("정답：３", 3),
    ("정답 3", 3),
    ("정답 3번", 3),
    ("**정답: 3**", 3),
    ("**정답:** 3", 3),
    ("## 정답\n3", 3),
    ("정답 번호: 3", 3),
    ("최종 정답: 3번", 3),
    ("답: 3", 3),
    ("답은 3이다", 3),
    ("따라서 정답은 3번입니다.", 3),
    ("그러므로 답은 3번이 됩니다.", 3),
    ("정답은 3번이며, 이유는 다음과 같다.", 3),
    ("정답은 3. 서울입니다.", 3),
    ("정답은 세 번째입니다.", 3),
    ("정답은 첫 번째 선택지입니다.", 1),
    ("정답은 다섯번째이다", 5),
    ("The answer is 3.", 3),
    ("Answer: 3", 3),
    ("answer: (3)", 3),
    ("Final answer: 3", 3),
    ("The correct choice is 3", 3),
    ("\\boxed{3}", 3),
    ("$\\boxed{3}$", 3),
    ("따라서 \\boxed{③}", 3),
    ("옳지 않은 것은 ③이다.", 3),
    ("따라서 가장 적절한 것은 3번입니다.", 3),
    ("윗글의 내용과 일치하지 않는 것은 (3)이다.", 3),
    ("3번이 정답입니다.", 3),
    ("③이 정답이다.", 3),
    ("(3)이 정답이다.", 3),
    ("3번이 답이다.", 3),
    ("선택지 3이 정답이다", 3),
    ("Option 3 is correct.", 3),
    # the last one counts
    ("정답은 2번이다. 다시 보면 정답은 3번이다.", 3),
    ("정답: 1\n\n다시 생각하면\n\n정답: 3", 3),
    ("처음에는 1번이 정답 같지만 정답은 3번이다.", 3),
    ("정답은 3번이다. 1번은 틀리고 2번도 틀리다.", 3),
    ("1번은 틀리다. 2번도 아니다.\n정답: 3", 3),
    ("1. 부산: 틀림\n2. 대구: 틀림\n3. 서울: 맞음\n정답: 3", 3),
    ("정답은 2번이다. 정답은 4번이 아니다.", 2),
    ("글을 보면 그렇다.\n\n3", 3),
    ("글을 보면 그렇다.\n\n3번", 3),
    ("글을 보면 그렇다.\n③", 3),
    ("1919년 3월의 일이므로 정답은 2번이다.", 2),
    ("정답은 3번 (1919년 4월)이다.", 3),
    ("정답은 3 (1, 2는 오답)", 3),
    # a sentence that names one
    ("글의 흐름으로 보아 3번이 적절하다.", 3),
    ("③을 고르겠습니다.", 3),
    ("나는 (3)을 고른다.", 3),
    ("1번과 2번은 글과 다르다. 3번이 글과 같다.", 3),
    ("선택지 3을 고릅니다", 3),
    # JSON
    ('{"answer": 3}', 3),
    ('{"answer": "3"}', 3),
    ('{"정답": "3번"}', 3),
    ('{"정답": "③"}', 3),
    ('{"Answer": "(3)"}', 3),
    ('```json\n{"answer": 3, "reason": "글에 있다"}\n```', 3),
    ('{"reason": "1번은 아니다", "answer": 3}', 3),
    ("{answer: 3", 3),
    ('{"answer": 1} 다시 {"answer": 3}', 3),
    # thoughts don't count
    ("<think>정답은 1번인가? 아니다.</think>정답은 3번", 3),
    ("<think>\n1번, 2번...\n</think>\n\n3", 3),
    ("정답은 1번이겠다.</think>\n\n정답: 3", 3),
    ("<THINK>정답: 1</THINK>3", 3),
    ("<thinking>1번</thinking>정답: 3", 3),
    ("<think></think>\n3", 3),
]
UNPARSED = [
    "",
    "   \n",
    "서울입니다.",
    "수도는 서울이다.",
    "1919년 3월 1일",
    "3개의 나라가 있다.",
    "3 개의 나라가 있다.",
    "3.5",
    "세종 25년",
    "30%이다.",
    "정답은 1994년이다",
    "정답은 3.5이다",
    # beyond the row's five choices
    "6",
    "0",
    "정답은 6번",
    "정답: 10",
    "⑥",
    '{"answer": 9}',
    "정답은 12번",
    # several at once
    "1번과 3번",
    "1, 3",
    "정답은 1번과 3번이다.",
    "정답은 2번 또는 3번입니다.",
    "정답: 1, 3",
    "정답은 ①과 ③",
    "정답은 2 or 3",
    "정답은 2/3",
    "정답은 2번이다. 그런데 정답은 2번 또는 3번일 수 있다.",
    '{"answer": [1, 2]}',
    '{"answer": null}',
    "1번은 서울이고 3번은 부산이다.",
    "①도 맞고 ③도 맞다.",
    # what is denied is not chosen
    "정답은 3번이 아니다.",
    "3번은 틀리다.",
    "③은 글과 일치하지 않는다.",
    "3번이 정답이 아니다.",
    "The answer is not 3.",
    # a list is no answer
    "1. 서울\n2. 부산\n3. 대구",
    "1) 서울\n2) 부산",
    # ordinals that are no choices
    "3번째 왕이다.",
    "3번 국도를 따라간다.",
    "정답은 여섯 번째",
    # thoughts alone
    "<think>정답은 3번</think>",
    "<think>정답은 3번",
]
REFUSED = [
    "죄송합니다. 답변할 수 없습니다.",
    "죄송하지만 이 질문에는 답할 수 없습니다.",
    "답변을 드릴 수 없습니다.",
    "지문이 없어 판단할 수 없습니다.",
    "판단하기 어렵습니다.",
    "주어진 글만으로는 알 수 없습니다.",
    "알 수가 없다.",
    "잘 모르겠습니다.",
    "정답이 없습니다.",
    "정답은 없다.",
    "도와드릴 수 없습니다.",
    "I'm sorry, but I can't help with that.",
    "I cannot answer this question.",
    "I am unable to determine the answer.",
    "As an AI, I have no opinion.",
    "<think>3번 같다</think>죄송합니다.",
]
CUT_OFF = [
    "",
    "글을 보면 먼저",
    "3",  # may have become 31
    "3번",
    "정답은 3",
    "정답은 3번",
    "정답은 3번이 아",
    "정답은 1번과 3번",
    "1번은 틀리다. 2번은",
    "<think>1번부터 보자. 정답은 2번이다.",
    "<think>죄송하지만",
    "죄송합니다. 하지만",
    "③이 적절하다. 왜냐하면",
]
CUT_OFF_BUT_STATED = [
    ("정답은 3번입니다. 왜냐하면 글의", 3),
    ("정답: 3\n\n해설: 1번은", 3),
    ("**정답: 3**\n\n1번은", 3),
    ('{"answer": 3}\n해설', 3),
    ("<think>1번?</think>정답은 3번이다. 글에", 3),
]


@pytest.mark.parametrize(("text", "answer"), ANSWERED)
def test_the_choice_that_a_text_settles_on_is_read(text, answer):
    found = read_answer(text, 5)
    assert (found.answer, found.outcome) == (answer, "answered")


@pytest.mark.parametrize("text", UNPARSED)
def test_what_settles_on_no_single_choice_is_no_answer(text):
    found = read_answer(text, 5)
    assert (found.answer, found.outcome) == (None, "unparsed")


@pytest.mark.parametrize("text", REFUSED)
def test_a_refusal_is_told_from_other_texts(text):
    found = read_answer(text, 5)
    assert (found.answer, found.outcome) == (None, "refused")


@pytest.mark.parametrize("text", CUT_OFF)
def test_a_text_that_was_cut_off_is_no_answer_and_no_refusal(text):
    found = read_answer(text, 5, finished=False)
    assert (found.answer, found.outcome) == (None, "cut off")


@pytest.mark.parametrize(("text", "answer"), CUT_OFF_BUT_STATED)
def test_a_complete_statement_counts_though_the_text_was_cut_off(text, answer):
    assert read_answer(text, 5, finished=False).answer == answer


@pytest.mark.parametrize(
    ("text", "labels", "answer"),
    [
        ("B", "ABCDE", 2),
        ("b", "ABCDE", 2),
        ("(B)", "ABCDE", 2),
        ("B.", "ABCDE", 2),
        ("B) 서울", "ABCDE", 2),
        ("정답은 B", "ABCDE", 2),
        ("정답은 B입니다.", "ABCDE", 2),
        ("The answer is B.", "ABCDE", 2),
        ("The answer is (B)", "ABCDE", 2),
        ("A dog is no cat.", "ABCDE", None),
        ("나", "가나다라마", 2),
        ("(나)", "가나다라마", 2),
        ("정답은 나", "가나다라마", 2),
        ("정답은 '나'입니다.", "가나다라마", 2),
        ("정답은 (다)이다.", "가나다라마", 3),
        ("정답은 가장 큰 것이다.", "가나다라마", None),
        ("정답은 나무이다.", "가나다라마", None),
        ("정답은 F", "ABCDE", None),
    ],
)
def test_a_prompts_own_labels_are_known(text, labels, answer):
    assert read_answer(text, 5, tuple(labels)).answer == answer


def test_a_row_of_four_choices_has_no_fifth():
    assert read_answer("정답은 5번", 4).outcome == "unparsed"
    assert read_answer("정답은 4번", 4).answer == 4


@given(st.text(max_size=200), st.integers(2, 10), st.booleans())
def test_any_text_gives_a_choice_of_the_row_or_a_reason(text, choices, finished):
    found = read_answer(text, choices, finished=finished)
    assert (found.answer is None) == (found.outcome != "answered")
    assert found.answer is None or 1 <= found.answer <= choices


@given(
    st.lists(
        st.sampled_from("정답은 3번 ③ (2) 1 . 이 아니다 과 \n <think> </think> {".split(" "))
    )
)
def test_pieces_of_answers_in_any_order_never_break_it(pieces):
    assert read_answer("".join(pieces), 5).outcome in ("answered", "unparsed", "refused")


def test_a_long_text_is_read_in_good_time():
    text = "1번은 글과 다르다. 것은 정답 " * 20_000
    assert read_answer(text + "정답: 3", 5).answer == 3
