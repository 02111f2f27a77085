"""Instruction sets in their published layouts: read, cleaned, drawn and put to a model."""

import gzip
import json
import random
from collections import Counter

import pytest
from tiny import tiny_tokenizer

from solution.core import UserError, fingerprint, load_config, resolve_config
from solution.exam import Exam, Question, load_prompt
from solution.finetune import instruction_data, iter_rows
from solution.finetune.instruction_data import (
    DUPLICATE,
    IN_TEST,
    NO_ANSWER,
    OVER_LIMIT,
    TOO_LONG,
    Instruction,
    InstructionTemplate,
    load_instructions,
    sample_rows,
    tokenize_instruction,
)
from solution.finetune.recipe import Instructions, read_recipe
from solution.finetune.single import run_inputs
from solution.finetune.tokenize import tokenize_instructions

MASKED = -100
KOALPACA = "### Response(응답):"


@pytest.fixture
def exam(tmp_path):
    question = Question(
        id="t1",
        paragraph="",
        question="왕이 새로운 도읍으로 정한 고을의 이름으로 가장 알맞은 것은 무엇인가?",
        choices=(
            "대숲골 언저리 마을",
            "참새골 너머 마을",
            "갈대골 안쪽 마을",
            "별빛골 건너 마을",
        ),
    )
    return Exam(tmp_path / "test.csv", (question,), "")


def read(source, exam, seed=0, **plan):
    return load_instructions([Instructions(source=str(source), **plan)], exam, seed)


def write(path, rows):
    path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    return path


def template(name):
    return load_config(resolve_config("templates", name), InstructionTemplate)


def alpaca(number, prefix=""):
    return [
        {"instruction": f"{prefix}{n} 다음은?", "input": "", "output": f"{n + 1}"}
        for n in range(number)
    ]


def drawn(path, seed):
    """What is drawn of a file at 100 rows a task, before it is held against a test file."""
    plan = Instructions(source=str(path), template="cot", per_task=100)
    rows = instruction_data._parsed(plan, Counter())
    return [row.instruction for row in sample_rows(plan, rows, Counter(), seed)]


def task_profile(seed=0):
    """216 tasks of the sizes that CoT-Collection's have: most large, some under the cap."""
    rng = random.Random(seed)
    sizes = [rng.randint(120, 400) for _ in range(200)] + [
        rng.randint(3, 99) for _ in range(16)
    ]
    return {f"task{n:03d}": size for n, size in enumerate(sizes)}


def test_real_koalpaca_rows_are_read_and_the_empty_answer_is_counted(shared_data, exam):
    path = shared_data / "koalpaca" / "ko_alpaca_data_prefix.json.gz"
    found = read(path, exam, template="koalpaca")
    assert len(found.rows) + sum(found.dropped.values()) == 12761
    assert found.dropped[str(path), NO_ANSWER] == 1
    with_input = sum(bool(row.input) for row in found.rows)
    assert 0 < with_input < len(found.rows)


def test_real_text_only_rows_are_split_at_the_answer(shared_data, exam):
    path = shared_data / "koalpaca" / "KoAlpaca_v1.1a_textonly_sample.jsonl.gz"
    found = read(path, exam, template="koalpaca-v1.1")
    assert len(found.rows) + sum(found.dropped.values()) == 1000
    for row in found.rows:
        assert "###" not in row.instruction
        assert row.instruction == row.instruction.strip()
        assert "<|endoftext|>" not in row.answer


def test_real_parts_of_open_platypus_are_read(shared_data, exam):
    folder = shared_data / "open_platypus_parts"
    columns = {"instruction": "problem_text", "answer": "answer_number"}
    science = read(folder / "scibench" / "atkins.json", exam, columns=columns)
    assert science.rows[0].answer
    theorems = read(folder / "theoremqa" / "theoremqa_test.json", exam)
    assert len(theorems.rows) + sum(theorems.dropped.values()) == 800


@pytest.mark.parametrize("form", ["list", "object", "lines", "lines.gz", "parquet"])
def test_every_file_form_gives_the_same_rows(form, tmp_path):
    rows = alpaca(500)
    text = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    path = tmp_path / {
        "parquet": "a.parquet",
        "lines": "a.jsonl",
        "lines.gz": "a.jsonl.gz",
    }.get(form, "a.json")
    if form == "list":
        write(path, rows)
    elif form == "object":
        write(path, {str(n): row for n, row in enumerate(rows)})
    elif form == "lines":
        path.write_text(text, encoding="utf-8")
    elif form == "lines.gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        import pyarrow
        from pyarrow import parquet

        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    assert list(iter_rows(str(path))) == rows


@pytest.mark.parametrize("cut", [0.3, 0.6, 0.99])
def test_a_file_cut_short_is_refused_by_name(tmp_path, cut):
    path = write(tmp_path / "a.json", alpaca(30))
    text = path.read_text(encoding="utf-8")
    path.write_text(text[: int(len(text) * cut)], encoding="utf-8")
    with pytest.raises(UserError, match=r"a\.json: damaged"):
        list(iter_rows(str(path)))


def test_unknown_columns_are_refused_and_can_be_mapped(tmp_path, exam):
    path = write(tmp_path / "a.json", [{"prompt": "?", "chosen": "!"}])
    with pytest.raises(UserError, match=r"row 1: no column .* in prompt, chosen"):
        read(path, exam)
    columns = {"instruction": "prompt", "answer": "chosen"}
    (row,) = read(path, exam, columns=columns).rows
    assert (row.instruction, row.answer) == ("?", "!")


def test_text_rows_of_another_form_are_refused(tmp_path, exam):
    path = write(tmp_path / "a.json", [{"text": "### 질문: 무엇? ### 답변: 그것"}])
    with pytest.raises(UserError, match="no '### Response"):
        read(path, exam, template="koalpaca")


def test_an_absent_source_names_itself(exam):
    with pytest.raises(UserError, match="no such file"):
        read("data/none/such file.json", exam)


def test_duplicates_and_rows_of_the_test_file_are_left_out_and_counted(tmp_path, exam):
    (question,) = exam.questions
    leak = {"instruction": question.question, "output": "\n".join(question.choices)}
    path = write(tmp_path / "a.json", [*alpaca(5), *alpaca(2), leak])
    found = read(path, exam)
    assert len(found.rows) == 5
    assert found.dropped == Counter({(str(path), DUPLICATE): 2, (str(path), IN_TEST): 1})


def test_the_cap_holds_for_each_task_and_small_tasks_stay_whole(tmp_path, exam):
    sizes = task_profile()
    rows = [
        {"source": f"{task} {n}", "target": "답", "rationale": f"까닭 {n}", "task": task}
        for task, size in sizes.items()
        for n in range(size)
    ]
    path = write(tmp_path / "cot.json", {str(n): row for n, row in enumerate(rows)})
    found = read(path, exam, template="cot", per_task=100)
    counts = Counter(row.task for row in found.rows)
    assert counts == {task: min(size, 100) for task, size in sizes.items()}
    assert found.dropped[str(path), OVER_LIMIT] == len(rows) - sum(counts.values())

    random.Random(1).shuffle(rows)
    again = drawn(write(tmp_path / "shuffled.json", rows), seed=0)
    assert again == [row.instruction for row in found.rows]
    assert set(drawn(path, seed=1)) != set(again)


def test_a_limit_draws_so_many_rows_the_same_each_time(tmp_path, exam):
    path = write(tmp_path / "a.json", alpaca(300))
    found = [row.instruction for row in read(path, exam, limit=20).rows]
    assert len(found) == 20
    assert found == [row.instruction for row in read(path, exam, limit=20).rows]


@pytest.mark.parametrize(
    ("place", "expected"),
    [("first", "까닭\n[ANSWER] 답"), ("last", "답\n까닭"), ("none", "답")],
)
def test_the_reason_stands_where_the_recipe_says(place, expected, tmp_path, exam):
    row = {"source": "물음", "target": "답", "rationale": "까닭", "task": "t"}
    path = write(tmp_path / "a.json", [row])
    (found,) = read(path, exam, template="cot", rationale=place).rows
    assert found.answer == expected


@pytest.mark.parametrize("given", ["", "맥락이다"])
@pytest.mark.parametrize("name", ["koalpaca", "koalpaca-v1.1", "alpaca", "cot", "cot-ko"])
def test_exactly_the_answer_and_the_end_are_supervised(name, given):
    tokenizer = tiny_tokenizer()
    form = template(name)
    row = Instruction("s", "t", "무엇을 하는가?", given, "그것을 한다.", form)
    end = tokenizer.eos_token_id
    ids, labels = tokenize_instruction(row, tokenizer, end, MASKED)
    supervised = [token for token in labels if token != MASKED]
    assert tokenizer.decode(supervised[:-1]).strip() == "그것을 한다."
    assert supervised[-1] == end == ids[-1]
    prompt = tokenizer.decode(ids[: len(ids) - len(supervised)])
    assert prompt.rstrip().endswith(form.split)
    assert ("맥락이다" in prompt) == bool(given)


def test_the_bilingual_prompt_is_split_at_its_response():
    form = template("koalpaca")
    row = Instruction("s", "t", "물음", "맥락", "답", form)
    text = row.prompt + row.answer
    assert form.split == KOALPACA
    assert text.split(KOALPACA)[1].strip() == "답"
    assert "### Input(입력):\n맥락" in text
    assert "Input(입력)" not in Instruction("s", "t", "물음", "", "답", form).prompt


def test_rows_longer_than_a_row_may_be_are_counted_never_cut():
    tokenizer = tiny_tokenizer()
    form = template("koalpaca-v1.1")
    rows = [Instruction("s", "", "?", "", "답" * size, form) for size in (1, 5, 400)]
    pairs, dropped = tokenize_instructions(rows, tokenizer, tokenizer.eos_token_id, 128)
    assert len(pairs) == 2
    assert dropped == {("s", TOO_LONG): 1}
    with pytest.raises(UserError, match="longer than 8 tokens"):
        tokenize_instructions(rows, tokenizer, tokenizer.eos_token_id, 8)


def test_a_changed_template_or_another_file_of_a_folder_is_another_run(tmp_path):
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows/a.jsonl").write_text('{"instruction": "a", "output": "b"}\n')
    template = tmp_path / "mine.yaml"
    shipped = resolve_config("templates", "alpaca").read_text(encoding="utf-8")
    template.write_text(shipped, encoding="utf-8")
    recipe = read_recipe(
        "embedded",
        None,
        None,
        [f'data.instructions=[{{source: "{tmp_path}/rows", template: "{template}"}}]'],
    )
    prompt = load_prompt(recipe.prompt)
    found = [run_inputs(recipe, prompt)]
    template.write_text(shipped + "# changed\n", encoding="utf-8")
    found.append(run_inputs(recipe, prompt))
    (tmp_path / "rows/b.jsonl").write_text('{"instruction": "c", "output": "d"}\n')
    found.append(run_inputs(recipe, prompt))
    assert len({fingerprint(one) for one in found}) == 3
