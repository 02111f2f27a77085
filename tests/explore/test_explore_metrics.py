"""Metrics of columns, their intervals, and published figures."""

import random

import pytest

from solution.core import UserError
from solution.explore.metrics import column_metrics, macro_f1_interval
from solution.explore.published import read_published
from solution.explore.statistics import macro_f1
from solution.explore.suite import load_suite
from solution.scoring import ChoiceScores


def answered(answers, probability=(0.75, 0.25)):
    return [
        ChoiceScores(f"r{i}", (0.0, 0.0), probability, a, 0.5) for i, a in enumerate(answers)
    ]


def key(answers, **more):
    blank = {"subject": [""] * len(answers), "true": [[] for _ in answers], "spontaneous": []}
    return {"answer": answers, "group": list(range(len(answers)))} | blank | more


def test_macro_f1s_interval_has_the_width_of_a_jackknife_over_groups():
    rng = random.Random(3)
    gold = [rng.randint(1, 2) for _ in range(400)]
    given = [g if rng.random() < 0.7 else 3 - g for g in gold]
    groups = [i // 2 for i in range(400)]
    value, low, high = macro_f1_interval(gold, given, groups)
    assert value == macro_f1(gold, [(g,) for g in given])
    left_out = []
    for group in range(200):
        kept = [i for i in range(400) if groups[i] != group]
        left_out.append(macro_f1([gold[i] for i in kept], [(given[i],) for i in kept]))
    centre = sum(left_out) / 200
    error = (sum((one - centre) ** 2 for one in left_out) * 199 / 200) ** 0.5
    assert (high - low) / 2 == pytest.approx(1.972 * error, rel=0.02)


def test_macro_f1_without_a_fault_has_an_exact_interval():
    value, low, high = macro_f1_interval([1, 2] * 10, [1, 2] * 10, list(range(20)))
    assert value == high == 1 and 0.8 < low < 0.9


def test_a_constant_answer_is_counted():
    told = column_metrics("macro_f1", key([1, 2] * 10), answered([2] * 20))
    assert told["value"] == pytest.approx(1 / 3)
    assert (told["most_common_answer"], told["most_common_share"]) == (2, 1.0)
    assert told["accuracy"] == 0.5 and told["key_positions"] == "10/10"


def test_by_subject_counts_small_subjects_as_much_as_large_ones():
    subjects = ["a"] * 8 + ["b"] * 2
    told = column_metrics(
        "acc_by_subject", key([1] * 10, subject=subjects), answered([1] * 8 + [2] * 2)
    )
    assert told["value"] == 0.5 and told["accuracy"] == 0.8


def test_truthfulqas_figure_is_the_probability_of_all_true_choices():
    true = [[True, False], [False, True]]
    told = column_metrics("mc2", key([1, 2], true=true), answered([1, 1]))
    assert told["value"] == pytest.approx((0.75 + 0.25) / 2)
    assert told["accuracy"] == 0.5


def test_generated_accuracy_takes_what_the_model_would_not_say_for_wrong():
    told = column_metrics("acc", key([1, 1], spontaneous=[True, False]), answered([1, 1]))
    assert (told["value"], told["generated_accuracy"]) == (1.0, 0.5)


def test_published_figures_of_another_family_are_not_there():
    assert read_published("solution/suites/published/kobest.csv", "harness") == []


def test_a_faulty_line_of_published_figures_is_named(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("task,shots,prompt_family,model,value,source\nt,0,harness,m,62.3,s\n")
    with pytest.raises(UserError, match=r"line 2: expected task, .*value from 0 to 1"):
        read_published(str(path), "harness")


@pytest.mark.parametrize("name", ["kobest", "nsmc", "openllm", "korean"])
def test_shipped_suites_are_sound_and_their_published_figures_fit_their_tasks(name):
    suite = load_suite(name)
    columns = {(task.task, shots) for task in suite.tasks for shots in task.shots}
    for row in read_published(suite.published, suite.prompt_family):
        assert set(row.values) <= columns


def test_openllm_has_the_leaderboards_shots():
    suite = load_suite("openllm")
    assert [task.shots for task in suite.tasks] == [[5], [25], [10], [0]]


@pytest.mark.parametrize(
    "change, told",
    [
        ("prompt_family=other", "prompt_family"),
        ("tasks=[{task: a, shots: [1, 1]}]", "different numbers"),
        ("tasks=[{task: a}, {task: a}]", "would share one directory"),
        ("shot=3", "shot: unknown key"),
        ("family=harness", "family: this key is now prompt_family"),
        ("fast=true", "fast: this key is now fixed_shots"),
        ("tasks=[{task: a, figure: accuracy}]", "figure: this key is now metric"),
        ("tasks=[{task: a, rule: by_length}]", "rule: this key is now metric: acc_norm"),
    ],
)
def test_faulty_suites_are_refused(change, told):
    with pytest.raises(UserError, match=told):
        load_suite("kobest", [change])
