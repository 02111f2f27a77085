"""`prompt` shows what is scored: the text, the tokens, and where the answer is read."""

from pathlib import Path

import pytest

from solution.cli import main
from solution.core import UserError
from solution.exam import load_prompt, read_exam
from solution.models import ModelReference, load_tokenizer
from solution.submit import show_prompt

MODEL, EXAM = "data/embedded/models/tiny-s", "data/embedded/test.csv"


def test_the_shown_prompt_is_the_beginning_of_the_finished_conversation(capsys):
    question = read_exam(Path(EXAM)).questions[3]
    arguments = ["--model", MODEL, "--exam", EXAM, "--prompt", "embedded", "--row", question.id]
    assert main(["prompt", *arguments]) == 0
    shown = capsys.readouterr().out
    before, _, after = shown.partition("▶")
    labels, _, end = after.partition("◀")
    text = before.partition("\n\n")[2]
    tokenizer = load_tokenizer(ModelReference(model=MODEL))
    answer = {"role": "assistant", "content": load_prompt("embedded").answers(question)[0]}
    messages = [*load_prompt("embedded").messages(question), answer]
    finished = tokenizer.apply_chat_template(messages, tokenize=False)
    assert finished.startswith(text + answer["content"] + end.partition("\n")[0])
    assert labels.strip().removeprefix("one of ") == " | ".join(
        repr(label) for label in load_prompt("embedded").answers(question)
    )
    count = len(tokenizer(text).input_ids)
    assert f"tokens     {count} of at most 8192; 0 of the passage were cut" in shown


def test_a_cut_and_a_system_text_in_the_users_turn_are_said():
    shown = show_prompt(MODEL, Path(EXAM), changes=["max_length=64"], prompt="embedded")
    assert "of at most 64" in shown
    assert "; 0 of the passage" not in shown
    assert "system text: a turn of its own" in show_prompt(MODEL, Path(EXAM), prompt="contest")


def test_an_unknown_row_is_named():
    with pytest.raises(UserError, match=r"no row with the id nine\. The first is haedeun-test"):
        show_prompt(MODEL, Path(EXAM), "nine")
