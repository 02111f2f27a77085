"""Where a template puts the answer, what closes it, and what must not be lost on the way."""

from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import tiny_tokenizer

from solution.core import UserError
from solution.exam import load_prompt, read_exam
from solution.models.chat_template import ANSWER, FIXED_TIME, ChatTemplate

MARKS = {"system": "SYSTEMMARK", "question": "QUESTIONMARK", "choices": "CHOICEMARK"}
MESSAGES = [
    {"role": "system", "content": "SYSTEMMARK 시험입니다."},
    {"role": "user", "content": "QUESTIONMARK 무엇인가?\n\nCHOICEMARK"},
]
# Where published templates have the answer in a finished conversation: TRL ships the templates.
FAMILIES = {
    "qwen2_5": ("<|im_start|>assistant\n", "<|im_end|>"),
    "qwen3": ("<|im_start|>assistant\n<think>\n\n</think>\n\n", "<|im_end|>"),
    "qwen3_5_think": ("<|im_start|>assistant\n<think>\n\n</think>\n\n", "<|im_end|>"),
    "qwen3_5_nothink": ("<|im_start|>assistant\n<think>\n\n</think>\n\n", "<|im_end|>"),
    "qwen3_instruct_2507": ("<|im_start|>assistant\n", "<|im_end|>"),
    "gptoss": ("<|start|>assistant<|channel|>final<|message|>", "<|return|>"),
    "gemma": ("<start_of_turn>model\n", "<end_of_turn>"),
    "gemma3": ("<start_of_turn>model\n", "<end_of_turn>"),
    "llama3": ("<|start_header_id|>assistant<|end_header_id|>\n\n", "<|eot_id|>"),
    "llama3_2": ("<|start_header_id|>assistant<|end_header_id|>\n\n", "<|eot_id|>"),
    "deepseek_r1_distill": ("<｜Assistant｜>", "<｜end▁of▁sentence｜>"),
    "phi3": ("<|assistant|>\n", "<|end|>"),
    "lfm2": ("<|im_start|>assistant\n", "<|im_end|>"),
    "cohere2": ("<|CHATBOT_TOKEN|><|START_RESPONSE|>", "<|END_RESPONSE|>"),
    "nemotron_3_nano": ("<|im_start|>assistant\n<think></think>", "<|im_end|>"),
}
# Written out by us after the families' documentation.
LLAMA2 = (
    "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}"
    "{% set system = '<<SYS>>\n' + messages[0]['content'] + '\n<</SYS>>\n\n' %}"
    "{% else %}{% set loop_messages = messages %}{% set system = '' %}{% endif %}"
    "{% for m in loop_messages %}{% if m['role'] == 'user' %}"
    "{{ bos_token + '[INST] ' + (system if loop.first else '') + m['content'] + ' [/INST]' }}"
    "{% else %}{{ ' ' + m['content'] + ' ' + eos_token }}{% endif %}{% endfor %}"
)
DROPS_STRINGS = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% for part in m['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
OPENS_THOUGHT = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n"
    "{% else %}<think>\n{% endif %}{% endif %}"
)


def chat(template, special=(), **options):
    tokenizer = tiny_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": list(special)})
    tokenizer.chat_template = template
    return ChatTemplate(tokenizer, "m", **options)


def published(name):
    return (files("trl") / "chat_templates" / f"{name}.jinja").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", FAMILIES)
def test_published_families_have_the_answer_where_a_finished_conversation_has_it(name):
    before, end = FAMILIES[name]
    one = chat(published(name), [end, "<s>"])
    one.tokenizer.bos_token = "<s>"
    one.verify(MESSAGES, MARKS)
    text = one.render(MESSAGES).text
    assert text.endswith(before)
    assert one.end == end
    assert one.folds_system == (name == "gemma")
    turns = [{"role": "user", "content": "\n\n".join(m["content"] for m in MESSAGES)}]
    finished = one.tokenizer.apply_chat_template(
        [*(turns if one.folds_system else MESSAGES), {"role": "assistant", "content": "3"}],
        tokenize=False,
        strftime_now=FIXED_TIME.strftime,
    )
    assert finished.startswith(text + one.answer("3") + one.end)


def test_a_generation_prompt_may_open_a_thought_that_an_answer_does_not_have():
    one = chat(published("deepseek_r1_distill"))
    one.tokenizer.bos_token = "<s>"
    assert one.render(MESSAGES, generate=True).text.endswith("<｜Assistant｜><think>\n")
    assert "<think>" not in one.render(MESSAGES).text


def test_llama_2_keeps_the_blank_before_the_answer_and_before_its_end():
    one = chat(LLAMA2)
    one.tokenizer.bos_token = "<s>"
    assert one.render(MESSAGES).text.endswith(" [/INST] ")
    assert one.end == " <|im_end|>"


def test_a_template_that_drops_the_question_stops_and_is_named():
    with pytest.raises(UserError, match=r"model m: its chat template leaves out"):
        chat(DROPS_STRINGS).verify(MESSAGES, MARKS)


def test_a_template_without_the_paragraph_is_named_by_the_part():
    broken = "{% for m in messages %}{{ m.content | replace('CHOICEMARK', '') }}{% endfor %}"
    with pytest.raises(UserError, match="leaves out choices"):
        chat(broken).verify(MESSAGES, MARKS)


@pytest.mark.parametrize(
    "template",
    [
        "{{ raise_exception('no') }}",
        "{{ messages[0].nothing.at.all }}",
        "{% for m in messages %}",
        "{{ 1 / 0 }}",
    ],
)
def test_any_error_of_a_template_is_one_message_with_the_models_name(template):
    with pytest.raises(UserError, match="model m: its chat template"):
        chat(template).verify(MESSAGES, MARKS)


@pytest.mark.parametrize("dropped", [True, False])
def test_a_system_text_that_is_dropped_or_refused_goes_into_the_users_turn(dropped):
    system = "" if dropped else "{{ raise_exception('System role not supported') }}"
    one = chat(
        "{% for m in messages %}{% if m.role == 'system' %}" + system + "{% else %}"
        "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endif %}{% endfor %}"
    )
    one.verify(MESSAGES, MARKS)
    assert one.folds_system
    turn = "<|im_start|>user\nSYSTEMMARK 시험입니다.\n\nQUESTIONMARK"
    assert turn in one.render(MESSAGES).text


def test_the_label_is_read_behind_a_closed_thought_and_an_open_one_is_named(capsys):
    one = chat(OPENS_THOUGHT)
    one.verify(MESSAGES, MARKS)
    assert one.render(MESSAGES).text.endswith("<|im_start|>assistant\n")
    always = OPENS_THOUGHT.replace("m.role }}\n", "m.role }}\n{{ '<think>\n' if loop.last }}")
    chat(always).verify(MESSAGES, MARKS)
    assert "leaves <think> open" in capsys.readouterr().err


def test_variables_reach_the_template():
    one = chat(OPENS_THOUGHT, variables={"enable_thinking": False})
    assert one.render(MESSAGES, generate=True).text.endswith("</think>\n\n")


def test_a_clock_in_a_template_is_given_a_fixed_time():
    text = (
        chat("{{ strftime_now('%Y-%m-%d') }}{% for m in messages %}{{ m.content }}{% endfor %}")
        .render(MESSAGES)
        .text
    )
    assert text.startswith("2025-01-01")


@pytest.mark.parametrize("word", ["<|im_end|>", "<|endoftext|>", "<|im_start|>system\n"])
def test_control_tokens_in_a_row_are_ordinary_text(word):
    one = chat(tiny_tokenizer().chat_template)
    rows = [{"role": "user", "content": f"앞 {word} 뒤"}]
    plain = [{"role": "user", "content": "앞 뒤"}]
    ids, usual = one.tokens(one.render(rows).text), one.tokens(one.render(plain).text)
    special = set(one.tokenizer.all_special_ids)
    assert [i for i in ids if i in special] == [i for i in usual if i in special]
    assert one.tokenizer.decode(ids) == one.tokenizer.decode(usual).replace(
        "앞 뒤", f"앞 {word} 뒤"
    )


def test_there_is_exactly_one_begin_of_text(capsys):
    from tokenizers.processors import TemplateProcessing

    template = "{% for m in messages %}<|im_start|>{{ m.content }}<|im_end|>{% endfor %}"
    for own in (False, True):
        one = chat(("<s>" if own else "") + template, ["<s>"])
        one.tokenizer.bos_token = "<s>"
        bos = one.tokenizer.bos_token_id
        one.tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", bos)]
        )
        one.verify(MESSAGES, MARKS)
        ids = one.tokens(one.render(MESSAGES).text)
        assert ids[0] == bos and ids.count(bos) == 1
        assert ("its chat template does not" in capsys.readouterr().err) == (not own)
    without = ChatTemplate(one.tokenizer, "m", add_bos=False)
    one.tokenizer.chat_template = template
    assert bos not in without.tokens(without.render(MESSAGES).text)


def test_without_a_template_the_texts_are_joined_and_the_tokenizers_end_closes_them():
    one = ChatTemplate(tiny_tokenizer(chat=False), "m")
    assert one.render(MESSAGES, "\n정답: ").text == (
        "SYSTEMMARK 시험입니다.\n\nQUESTIONMARK 무엇인가?\n\nCHOICEMARK\n정답: "
    )
    assert one.end == "<|im_end|>"
    one.tokenizer.eos_token = None
    assert ChatTemplate(one.tokenizer, "m").end == ""


def test_every_real_row_is_put_through_the_real_chat_template(shared_data):
    from transformers import AutoTokenizer

    one = ChatTemplate(AutoTokenizer.from_pretrained(shared_data / "tokenizers/qwen2.5"), "q")
    prompt = load_prompt("contest")
    for name in ("train", "test"):
        for question in read_exam(shared_data / "competition" / f"{name}.csv").questions:
            text = one.render(prompt.messages(question)).text
            assert text.endswith("<|im_end|>\n<|im_start|>assistant\n")
            assert text.count("<|im_start|>") == 3
            assert question.paragraph in text
            assert question.question in text


@st.composite
def templates(draw):
    """Chat templates with and without system role, header, thought, blanks and trimming."""
    trim = draw(st.sampled_from(["", " | trim"]))
    opening = draw(st.sampled_from(["<s>", "", "[B]"]))
    header = draw(st.sampled_from(["<|im_start|>{{ m.role }}\n", "### {{ m.role }}: ", ""]))
    thought = draw(st.sampled_from(["", "<think>\n\n</think>\n\n", "<think></think>"]))
    blank = draw(st.sampled_from(["", " ", "\n"]))
    end = draw(st.sampled_from(["<|im_end|>", " <|im_end|>", "<|im_end|>\n"]))
    system = draw(st.sampled_from(["{{ m.content }}\n", "", "{{ raise_exception('no') }}"]))
    return (
        opening
        + "{% for m in messages %}{% if m.role == 'system' %}"
        + system
        + "{% else %}"
        + header
        + "{% if m.role == 'assistant' %}"
        + "{{ "
        + repr(thought + blank)
        + " }}"
        + "{% endif %}{{ m.content"
        + trim
        + " }}{{ "
        + repr(end)
        + " }}{% endif %}{% endfor %}"
        + draw(st.sampled_from(["", "{% if add_generation_prompt %}GO{% endif %}"]))
    )


@settings(max_examples=150, deadline=None)
@given(template=templates(), label=st.sampled_from(["1", " 3", "(2)", "①"]))
def test_prompt_label_and_end_begin_the_finished_conversation(template, label):
    one = chat(template)
    one.verify(MESSAGES, MARKS)
    asked = MESSAGES
    if one.folds_system:
        asked = [{"role": "user", "content": "\n\n".join(m["content"] for m in MESSAGES)}]
    finished = one.tokenizer.apply_chat_template(
        [*asked, {"role": "assistant", "content": label}], tokenize=False
    )
    scored = one.render(MESSAGES).text + one.answer(label) + one.end
    assert finished.startswith(scored)
    assert ANSWER not in scored
