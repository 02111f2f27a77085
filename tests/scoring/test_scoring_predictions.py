"""Predictions on disk, and the one call that makes them."""

import json

import pytest
from reference import encode, some_questions
from tiny import save_tiny

from solution.core import UserError
from solution.exam import Prompt
from solution.models import ModelReference, load
from solution.scoring import (
    ChoiceScores,
    evaluate,
    read_predictions,
    score,
    write_predictions,
)

PROMPT = Prompt(
    name="plain",
    user={"paragraph": "$paragraph", "question": "$question", "choices": "$choices"},
)
SCORED = [
    ChoiceScores("가-1", (-0.5, -1.5, -2.0), (0.6, 0.25, 0.15), 1, 0.35),
    ChoiceScores("2", (-0.1, -3.0), (0.95, 0.05), 1, 0.9),
]


def test_predictions_round_trip_with_what_made_them(tmp_path):
    from pyarrow import parquet

    path = tmp_path / "run" / "predictions.parquet"
    write_predictions(path, SCORED, {"model": "모형", "batch": 3})
    assert read_predictions(path) == SCORED
    table = parquet.read_table(path)
    columns = "id probability answer margin log_likelihood by_order label_mass"
    assert table.column_names == columns.split()
    assert json.loads(table.schema.metadata[b"produced_by"]) == {"model": "모형", "batch": 3}
    assert [p.name for p in path.parent.iterdir()] == ["predictions.parquet"]


@pytest.mark.parametrize("content", [None, b"", b"not parquet"])
def test_what_are_no_predictions_is_named(tmp_path, content):
    path = tmp_path / "predictions.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"predictions\.parquet"):
        read_predictions(path)


def test_parquet_of_other_columns_is_named(tmp_path):
    import pyarrow as pa
    from pyarrow import parquet

    path = tmp_path / "other.parquet"
    parquet.write_table(pa.table({"id": ["a"], "answer": [1]}), path)
    with pytest.raises(UserError, match="expected the columns id, probability"):
        read_predictions(path)


def test_answering_gives_rows_in_order_and_the_figures_of_the_work(tmp_path):
    # In bfloat16, answers that lie close together are computed a second time.
    reference = ModelReference(
        model=str(save_tiny(tmp_path / "m")), max_length=400, dtype="float32"
    )
    loaded = load(reference)
    questions = some_questions(9)
    scored, figures = evaluate(loaded, questions, PROMPT, batch_tokens=2000, label="tiny")
    expected = score(loaded, encode(questions, PROMPT, loaded.tokenizer, 400))
    assert [one.answer for one in scored] == [one.answer for one in expected]
    assert [one.id for one in scored] == [question.id for question in questions]
    assert figures["questions"] == 9
    assert figures["truncated_rows"] == sum(
        one.truncated_tokens > 0 for one in encode(questions, PROMPT, loaded.tokenizer, 400)
    )
    assert 0 < figures["tokens_computed"] <= figures["tokens"]
    assert 0 <= figures["tokens_shared_ratio"] < 1
    assert figures["tokens"] > 0 and figures["seconds"] > 0
    assert figures["questions_per_second"] > 0 and figures["peak_memory_gib"] > 0
