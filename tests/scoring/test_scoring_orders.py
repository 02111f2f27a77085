"""Several orders of the choices: one tree, averaged in the row's own order, PriDe's prior."""

import math
from dataclasses import replace

import pytest
from reference import encode, some_questions
from tiny import save_tiny, tiny_model, tiny_tokenizer

from solution.cli import main
from solution.exam import Prompt, Question, choice_orders, permute_choices, write_exam
from solution.models import ChatTemplate, ModelReference, load
from solution.scoring import (
    ChoiceScores,
    ScoreCache,
    TokenCounts,
    evaluate,
    plan_orders,
    read_predictions,
    score,
    score_model,
)

PROMPT = Prompt(
    name="plain",
    user={"paragraph": "$paragraph", "question": "$question", "choices": "$choices"},
)
REFERRING = Question("r", "", "?", ("물", "불", "①과 ②"), 1)


def scored(id, *probability):
    logs = tuple(math.log(p) for p in probability)
    best, second = sorted(probability, reverse=True)[:2]
    return ChoiceScores(id, logs, probability, 1 + probability.index(best), best - second)


def test_the_first_orders_are_the_rotations_and_the_rest_are_drawn_and_differ():
    question = some_questions(1, choices=4)[0]
    orders = choice_orders(question, 20)
    assert orders[:4] == [(0, 1, 2, 3), (1, 2, 3, 0), (2, 3, 0, 1), (3, 0, 1, 2)]
    assert len(set(orders)) == len(orders) == 20
    assert choice_orders(question, 7) == orders[:7]
    assert len(choice_orders(question, 120)) == math.factorial(4)
    assert choice_orders(replace(question, id="other"), 20) != orders


def test_choices_that_refer_to_others_stay_in_their_order():
    assert choice_orders(REFERRING, 5) == [(0, 1, 2)]


def test_the_answer_follows_its_text():
    question = replace(some_questions(1, choices=5)[0], answer=3)
    for order in choice_orders(question, 30):
        moved = permute_choices(question, order)
        assert moved.choices[moved.answer - 1] == question.choices[2]


def test_several_orders_are_averaged_back_in_the_rows_own_order():
    model, tokenizer = tiny_model("qwen2", tiny_tokenizer()), tiny_tokenizer()
    questions = [*some_questions(6, seed=3), REFERRING]
    plan = plan_orders(questions, 6)
    grouped = plan.encode(PROMPT, ChatTemplate(tokenizer, "m"), 1024)
    flat = [one for some in grouped for one in some]
    found = plan.combine(plan.group(score_model(model, flat)))
    for question, one in zip(questions, found, strict=True):
        orders = choice_orders(question, 6)
        shares = [0.0] * len(question.choices)
        answers = []
        for order in orders:
            encoded = encode([permute_choices(question, order)], PROMPT, tokenizer, 1024)
            alone = score_model(model, encoded)[0]
            for place, choice in enumerate(order):
                shares[choice] += alone.probability[place] / len(orders)
            answers.append(order[alone.answer - 1] + 1)
        assert one.probability == pytest.approx(shares, abs=1e-5)
        assert one.by_order == (tuple(answers) if len(orders) > 1 else ())
        assert one.answer == shares.index(max(shares)) + 1


def test_the_orders_of_one_question_share_its_passage_and_question():
    model, tokenizer = tiny_model("qwen2", tiny_tokenizer()), tiny_tokenizer()
    questions = [replace(q, paragraph="길고 긴 글 " * 20) for q in some_questions(4, choices=5)]
    costs = []
    for permutations in (1, 5):
        counts, plan = TokenCounts(), plan_orders(questions, permutations)
        grouped = plan.encode(PROMPT, ChatTemplate(tokenizer, "m"), 1024)
        score_model(model, [one for some in grouped for one in some], counts=counts)
        costs.append(counts)
        assert counts.tokens_computed == counts.tokens_unique
    assert costs[1].tokens_computed < costs[1].tokens_unshared / 3


def test_each_order_is_kept_by_itself(tmp_path):
    loaded = load(ModelReference(model=str(save_tiny(tmp_path / "m")), dtype="float32"))
    cache = ScoreCache(tmp_path / "c.sqlite", {})
    questions = some_questions(4, choices=4)
    passes = []
    for permutations in (1, 3, 3):
        counts = TokenCounts()
        grouped = plan_orders(questions, permutations).encode(PROMPT, loaded.chat, 1024)
        score(loaded, [one for some in grouped for one in some], counts=counts, cache=cache)
        passes.append(counts.requests)
    assert passes == [4, 8, 0]


def test_pride_takes_out_what_a_model_likes_of_a_place():
    """A place's weight multiplies what the choice there deserves: undone exactly."""
    liking, deserved = (0.5, 0.3, 0.1, 0.1), (0.1, 0.2, 0.4, 0.3)
    questions = [Question(f"q{i}", "", "?", tuple("물불흙길"), 1) for i in range(40)]
    plan = plan_orders(questions, debias="pride")
    sizes = [len(orders) for orders in plan.orders]
    assert sizes.count(4) == 16 and sizes.count(1) == 24

    def observed(question, order):
        raw = [liking[place] * deserved[choice] for place, choice in enumerate(order)]
        return scored(question.id, *(value / sum(raw) for value in raw))

    asked = zip(questions, plan.orders, strict=True)
    grouped = [[observed(q, order) for order in orders] for q, orders in asked]
    assert plan.position_priors(grouped)[4] == pytest.approx(liking)
    for one, orders in zip(plan.combine(grouped), plan.orders, strict=True):
        assert one.answer == 3
        if len(orders) == 1:
            assert one.probability == pytest.approx(deserved)
    assert scored("q", *grouped[-1][0].probability).answer != 3


def test_pride_needs_no_rotation_of_choices_that_refer_to_others():
    plan = plan_orders([REFERRING], debias="pride")
    kept = scored("r", 0.2, 0.5, 0.3)
    assert plan.orders == [[(0, 1, 2)]] and plan.combine([[kept]]) == [kept]


def test_predict_writes_the_answers_of_every_order_and_asks_nothing_twice(
    tmp_path, monkeypatch
):
    exam, model = tmp_path / "exam.csv", save_tiny(tmp_path / "m", max_position_embeddings=4096)
    write_exam(exam, some_questions(5, choices=5))
    asked = ["predict", "--model", str(model), "--exam", str(exam)]
    assert main([*asked, "--out", str(tmp_path / "one"), "--permutations", "5"]) == 0
    rows = read_predictions(tmp_path / "one" / "predictions.parquet")
    assert all(len(row.by_order) == 5 for row in rows)
    monkeypatch.setattr("solution.scoring.prefix_tree_runner.PrefixTreeRunner._forward", None)
    assert main([*asked, "--out", str(tmp_path / "two"), "--permutations", "5"]) == 0
    again = read_predictions(tmp_path / "two" / "predictions.parquet")
    assert [row.answer for row in again] == [row.answer for row in rows]


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--permutations", "0"], "expected a number from 1 to 120, found 0"),
        (["--permutations", "121"], "found 121"),
        (["--permutations", "5", "--debias", "pride"], "exclude each other"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, part, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_exam(tmp_path / "exam.csv", some_questions(2))
    for command in (
        ["explore"],
        ["predict", "--model", "m", "--exam", "exam.csv", "--out", "o"],
    ):
        assert main([*command, *options]) == 2
        assert part in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["exam.csv"]


def test_facts_count_questions_and_orders(tmp_path):
    loaded = load(ModelReference(model=str(save_tiny(tmp_path / "m")), dtype="float32"))
    _, facts = evaluate(loaded, some_questions(3, choices=4), PROMPT, permutations=4)
    assert (facts["questions"], facts["orders"]) == (3, 12)
