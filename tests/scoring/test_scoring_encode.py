"""Where the prompt ends and the answers begin, and what is cut from a row that is too long."""

from dataclasses import replace

import pytest
from reference import encode, rendered, some_questions
from tiny import tiny_tokenizer

from solution.core import UserError
from solution.exam import Prompt, load_prompt, read_exam

PROMPT = Prompt(
    name="plain",
    user={"paragraph": "$paragraph", "question": "$question", "choices": "$choices"},
    plain_suffix="\n정답:",
)


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizer()


def ids(tokenizer, text):
    return tuple(tokenizer(text, add_special_tokens=False).input_ids)


def test_prompt_and_answers_are_the_tokens_of_prompt_plus_answer(tokenizer):
    questions = some_questions(12)
    for question, one in zip(
        questions, encode(questions, PROMPT, tokenizer, 1024), strict=True
    ):
        text = rendered(PROMPT, question, tokenizer)
        for answer, label_ids in zip(PROMPT.answers(question), one.label_ids, strict=True):
            assert one.prompt_ids + label_ids == ids(tokenizer, text + answer)


def test_a_tokenizer_that_joins_prompt_and_answer_is_split_where_all_agree():
    """' 1' is one token there: the prompt's last space belongs to the answer."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pieces = [*" 123abcdefghijklmnopqrstuvwxyz정답-\n?:", " 1", " 2"]
    raw = Tokenizer(
        models.BPE({p: i for i, p in enumerate(pieces)}, merges=[(" ", "1"), (" ", "2")])
    )
    raw.pre_tokenizer = pre_tokenizers.Split("\n", "isolated")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw)
    question = replace(
        some_questions(1)[0], paragraph="", question="a", choices=("b", "c", "d")
    )
    prompt = PROMPT.model_copy(update={"plain_suffix": "\n정답: "})
    (one,) = encode([question], prompt, tokenizer, 1024)
    answers = [tokenizer.convert_ids_to_tokens(part) for part in one.label_ids]
    assert answers == [[" 1"], [" 2"], [" ", "3"]]


def test_a_start_token_of_the_tokenizer_begins_plain_text_and_chats_once():
    from tokenizers.processors import TemplateProcessing

    for chat in (False, True):
        tokenizer = tiny_tokenizer(chat)
        tokenizer.bos_token = "<|endoftext|>"
        start = tokenizer.bos_token_id
        tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
            single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", start)]
        )
        (one,) = encode(some_questions(1), PROMPT, tokenizer, 1024)
        assert one.prompt_ids.count(start) == 1
        assert one.prompt_ids[0] == start


def test_a_long_row_loses_the_end_of_its_passage_and_is_counted(tokenizer):
    short, long = some_questions(2, seed=3)
    long = replace(long, paragraph="가나다라 " * 300, question="무엇이 옳은가?")
    kept, cut = encode([short, long], PROMPT, tokenizer, 400)
    assert kept.truncated_tokens == 0
    whole = ids(tokenizer, rendered(PROMPT, long, tokenizer))
    assert cut.truncated_tokens == len(whole) - len(cut.prompt_ids) > 0
    text = tokenizer.decode(cut.prompt_ids)
    assert "가나다라" in text and long.question in text
    assert all(choice in text for choice in long.choices)
    assert text.endswith("<|im_start|>assistant\n")


@pytest.mark.parametrize("reserve", [0, 7])
def test_a_cut_row_fits_with_its_answer_and_end_and_wastes_little(tokenizer, reserve):
    long = replace(some_questions(1)[0], paragraph="강산 " * 900)
    (one,) = encode([long], PROMPT, tokenizer, 500, reserve)
    length = len(one.prompt_ids) + max(map(len, one.label_ids)) + 1 + reserve
    assert 490 <= length <= 500


def test_rows_too_long_without_a_passage_are_all_named(tokenizer):
    rows = [replace(q, question="가 " * 800) for q in some_questions(3)]
    with pytest.raises(UserError) as error:
        encode(rows, PROMPT, tokenizer, 200)
    assert all(f"id {row.id}" in str(error.value) for row in rows)
    assert "longer context" in str(error.value)


def test_a_row_too_long_without_a_passage_keeps_its_choices_and_is_counted(tokenizer):
    row = replace(some_questions(1)[0], question="가 " * 800)
    (whole,) = encode([row], PROMPT, tokenizer, 100_000)
    (cut,) = encode([row], PROMPT, tokenizer, 300)
    length = len(cut.prompt_ids) + max(map(len, cut.label_ids)) + 1
    assert length == 300
    assert cut.prompt_ids[-200:] == whole.prompt_ids[-200:]
    assert cut.label_ids == whole.label_ids
    assert cut.truncated_tokens == len(whole.prompt_ids) - len(cut.prompt_ids)


def test_answers_of_the_same_tokens_are_refused(tokenizer):
    prompt = PROMPT.model_copy(update={"answer": "$text"})
    row = replace(some_questions(1)[0], choices=("강", "산", "강"))
    with pytest.raises(UserError, match="same tokens"):
        encode([row], prompt, tokenizer, 1024)


def test_an_answer_that_begins_another_needs_an_end_token(tokenizer):
    nameless = tiny_tokenizer(chat=False)
    nameless.eos_token = None
    with pytest.raises(UserError, match="begins another"):
        encode(some_questions(1, choices=10), PROMPT, nameless, 1024)


def test_remembered_joins_change_nothing(tokenizer):
    questions = some_questions(20, seed=6)
    together = encode(questions, PROMPT, tokenizer, 1024)
    alone = [encode([question], PROMPT, tokenizer, 1024)[0] for question in questions]
    assert together == alone


def test_real_rows_are_answered_by_the_digits_of_qwen(shared_data):
    """All 2031 rows: one token an answer, ids 16 to 20, behind the prompt's exact tokens."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(shared_data / "tokenizers" / "qwen2.5")
    prompt = load_prompt("contest")
    questions = read_exam(shared_data / "competition" / "train.csv").questions
    encoded = encode(questions, prompt, tokenizer, 32768)
    assert len(encoded) == 2031
    for question, one in zip(questions, encoded, strict=True):
        assert one.label_ids == tuple((16 + i,) for i in range(len(question.choices)))
        assert one.truncated_tokens == 0
    for question, one in list(zip(questions, encoded, strict=True))[::20]:
        text = rendered(prompt, question, tokenizer) + "1"
        assert (*one.prompt_ids, 16) == ids(tokenizer, text)


def test_circled_digits_of_qwen_share_a_token_and_differ_in_the_next(shared_data):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(shared_data / "tokenizers" / "qwen2.5")
    prompt = load_prompt("contest").model_copy(update={"labels": tuple("①②③④⑤⑥⑦⑧⑨⑩")})
    (one,) = encode(some_questions(1, choices=5), prompt, tokenizer, 32768)
    assert {answer[0] for answer in one.label_ids} == {48312}
    assert len({answer[1] for answer in one.label_ids}) == 5


def halved(question, prompt, tokenizer, room: int) -> tuple[int, ...]:
    """The longest beginning of the passage that fits, found by encoding whole texts only."""

    def tokens(size: int) -> tuple[int, ...]:
        text = rendered(prompt, question, tokenizer, question.paragraph[:size].rstrip())
        return tuple(tokenizer(text, add_special_tokens=False).input_ids)

    low, high = 0, len(question.paragraph)
    while high - low > 1:
        middle = (low + high) // 2
        fits = len(tokens(middle)) + 2 <= room  # an answer of one token and its end
        low, high = (middle, high) if fits else (low, middle)
    return tokens(low)


def test_a_cut_is_the_one_that_encoding_whole_texts_finds(shared_data):
    from transformers import AutoTokenizer

    qwen = AutoTokenizer.from_pretrained(shared_data / "tokenizers" / "qwen2.5")
    prompt = load_prompt("contest")
    exam = read_exam(shared_data / "competition" / "train.csv")
    long = [question for question in exam.questions if len(question.paragraph) > 900][:12]
    unbroken = replace(long[0], paragraph=long[0].paragraph.replace(" ", ""))
    spaced = replace(long[1], paragraph=f"  {long[1].paragraph}".replace(" ", "  \n"))
    asked = [*long, unbroken, spaced, replace(long[2], paragraph="가" * 3000)]
    for one, question in zip(encode(asked, prompt, qwen, 500), asked, strict=True):
        assert one.truncated_tokens > 0
        assert one.prompt_ids == halved(question, prompt, qwen, 500)


def test_an_answer_longer_than_the_limit_is_refused_by_name(tokenizer):
    whole = Prompt(name="text", user={"question": "$question $choices"}, answer="$text")
    (question,) = some_questions(1)
    long = replace(question, choices=("긴 답 " * 200, *question.choices[1:]))
    with pytest.raises(
        UserError, match=f"id {question.id}: .* too long even without its passage"
    ):
        encode([long], whole, tokenizer, 300)
