"""Inputs after public bug reports, which lie beside the real data; each has a right result."""

import shutil
from pathlib import Path

import pytest

from solution.core import UserError
from solution.exam import Question, load_prompt, read_exam
from solution.models import ModelReference, load
from solution.scoring import encode, score

FORMATS = {
    "answer_col.csv": 1,
    "cols_split.csv": 1,
    "doublebom.csv": 1,
    "emptyrows.csv": 1,
    "exam.json": 1,
    "exam.jsonl": 2,
    "kaggle.csv": 1,
    "semicolon.csv": 1,
    "tab.tsv": 1,
}
THINK = "<|im_start|>assistant\n<think>\n\n</think>\n\n"


@pytest.fixture
def case(shared_data, tmp_path):
    """Copies a case's folder, since many of the models write beside themselves."""

    def copy(name: str) -> Path:
        source = shared_data.parent / "cases" / name
        if not source.is_dir():
            pytest.skip(f"{name} is not beside the real data")
        return shutil.copytree(source, tmp_path / name, copy_function=shutil.copyfile)

    return copy


def prompt_text(folder: Path, model: str) -> tuple[object, list]:
    loaded = load(ModelReference(model=str(folder / model), dtype="float32"))
    questions = read_exam(folder / "exam.csv").questions
    return loaded, encode(questions, load_prompt("contest"), loaded.chat, 4096)


@pytest.mark.parametrize("name", FORMATS)
def test_other_peoples_files_are_read(case, name, capsys):
    assert len(read_exam(case("format_messages") / name)) == FORMATS[name]


def test_a_missing_value_is_no_text_of_a_question(case):
    folder = case("nan_text")
    for name in ("nan_str.csv", "none_str.csv"):
        assert {q.question_plus for q in read_exam(folder / name).questions} == {""}
    assert read_exam(folder / "none_str.csv").questions[0].paragraph == ""
    with pytest.raises(UserError, match="as choice 5, found 'nan'"):
        read_exam(folder / "nan_choice5.csv")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("template_drops_question", "chat template leaves out"),
        ("template_error_predict", "chat template fails .*never"),
    ],
)
def test_a_template_that_cannot_ask_stops_with_its_model(case, name, message):
    with pytest.raises(UserError, match=message):
        prompt_text(case(name), "model")


def test_labels_are_read_behind_the_thought_that_a_finished_conversation_closes(case):
    folder = case("template_thinking")
    (folder / "exam.csv").write_text(
        "question,A,B,answer\n강가에 있는 것은?,배,산,A\n", encoding="utf-8"
    )
    loaded, (one,) = prompt_text(folder, "qwen3")
    assert loaded.tokenizer.decode(one.prompt_ids).endswith(THINK)


def test_a_start_token_that_only_the_tokenizer_adds_is_there_once(case, capsys):
    folder = case("template_without_bos")
    model = folder / "m" / "gemma"
    (model / "chat_template.jinja").write_text(
        "{% for m in messages %}<start_of_turn>{{ m.role }}\n{{ m.content }}<end_of_turn>\n"
        "{% endfor %}"
    )
    loaded, rows = prompt_text(folder, "m/gemma")
    bos = loaded.tokenizer.bos_token_id
    assert all(one.prompt_ids[0] == bos and one.prompt_ids.count(bos) == 1 for one in rows)
    assert "its chat template does not" in capsys.readouterr().err


@pytest.mark.parametrize("model", ["gemma", "qwen3", "plainbos"])
def test_a_cut_keeps_the_opening(case, model):
    folder = case("cut_loses_start")
    loaded = load(ModelReference(model=str(folder / "m" / model), dtype="float32"))
    text = "무엇인가? " + "가나다라 " * 80
    long = Question("big", "지문이다.", text, ("가" * 70, "나" * 70))
    prompt = load_prompt("contest")
    (whole,) = encode([long], prompt, loaded.chat, 100_000)
    (cut,) = encode([long], prompt, loaded.chat, len(whole.prompt_ids) - 40)
    opening = 1 if model == "plainbos" else 3
    assert cut.prompt_ids[:opening] == whole.prompt_ids[:opening]
    assert cut.prompt_ids[-100:] == whole.prompt_ids[-100:]
    assert cut.truncated_tokens >= 40


@pytest.mark.parametrize("model", ["gemma", "qwen3", "chatml_eos"])
def test_labels_that_begin_one_another_are_closed_as_training_closes_them(case, model):
    folder = case("end_token_ten_choices") / "m" / model
    loaded = load(ModelReference(model=str(folder), dtype="float32"))
    ships = tuple(f"{number}척" for number in range(1, 11))
    asked = [Question("q", "강가에 배가 있다.", "배는 몇 척인가?", ships)]
    rows = encode(asked, load_prompt("contest"), loaded.chat, 4096)
    end = {"gemma": "<end_of_turn>"}.get(model, "<|im_end|>")
    assert loaded.tokenizer.convert_ids_to_tokens(list(rows[0].terminator_ids)) == [end]
    assert score(loaded, rows)[0].answer in range(1, 11)
