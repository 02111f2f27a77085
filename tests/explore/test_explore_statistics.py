"""Intervals, paired tests and macro-F1 agree with brute force, scipy and scikit-learn."""

import math
import random

import numpy
import pytest
from scipy import stats
from sklearn.metrics import f1_score

from solution.exam import Question
from solution.explore.statistics import (
    adjusted_pairwise,
    calibration_error,
    clustered_error,
    clustered_interval,
    format_accuracy,
    holm,
    implied_count,
    macro_f1,
    mcnemar,
    most_common,
    order_effect,
    positions,
    two_shares,
)
from solution.scoring import ChoiceScores


def test_error_with_one_question_a_group_is_the_usual_one():
    credits = [1.0, 0.0, 0.0, 1.0, 1.0, 0.25]
    assert clustered_error(credits, range(6)) == pytest.approx(stats.sem(credits))


def test_clustered_error_is_the_sum_over_all_pairs_of_one_group():
    rng = random.Random(0)
    groups = [rng.randrange(30) for _ in range(100)]
    credits = [float(rng.random() < 0.6) for _ in groups]
    middle, count = numpy.mean(credits), len(set(groups))
    total = sum(
        (a - middle) * (b - middle)
        for a, g in zip(credits, groups, strict=True)
        for b, h in zip(credits, groups, strict=True)
        if g == h
    )
    expected = math.sqrt(total * count / (count - 1)) / len(credits)
    assert clustered_error(credits, groups) == pytest.approx(expected)


def test_repeating_every_question_of_a_group_leaves_the_error_as_it_was():
    credits = [1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0]
    once = clustered_error(credits, range(7))
    assert clustered_error(credits * 4, [*range(7)] * 4) == pytest.approx(once)


def test_interval_is_students_t_on_groups_less_one():
    credits = [1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0]
    low, high = clustered_interval(credits, range(8))
    expected = stats.t.interval(0.95, 7, loc=numpy.mean(credits), scale=stats.sem(credits))
    assert (low, high) == (pytest.approx(expected[0]), pytest.approx(min(1, expected[1])))


@pytest.mark.parametrize(("credit", "low", "high"), [(1.0, 0.8, 1.0), (0.0, 0.0, 0.2)])
def test_interval_of_a_perfect_score_has_a_width(credit, low, high):
    exact = stats.binomtest(round(20 * credit), 20).proportion_ci(0.95, "exact")
    interval = clustered_interval([credit] * 40, [i // 2 for i in range(40)])
    assert interval == (pytest.approx(exact.low), pytest.approx(exact.high))
    assert low < interval[0] + 0.2 and interval[1] <= max(high, 0.2)


def test_one_group_alone_tells_nothing():
    assert clustered_interval([1.0, 0.0, 1.0], [0, 0, 0]) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("passages", "questions", "truth", "alike"),
    [
        (60, 4, 0.6, 0.4),  # few passages, far apart
        (200, 4, 0.3, 0.1),
        (200, 1, 0.75, 0.0),  # every question its own passage
        (150, 3, 0.6, 0.9),  # a passage is nearly all right or all wrong
    ],
)
def test_interval_covers_the_truth_in_93_to_97_of_100_exams(passages, questions, truth, alike):
    """Passages differ in difficulty by a beta law; `alike` is its share of the variance."""
    rng, tries = numpy.random.default_rng(0), 1500
    groups = numpy.repeat(numpy.arange(passages), questions)
    strength = 1 / max(alike, 1e-6) - 1
    covered = 0
    for _ in range(tries):
        easy = rng.beta(truth * strength, (1 - truth) * strength, passages)
        credits = (rng.random(len(groups)) < easy[groups]).astype(float)
        low, high = clustered_interval(credits.tolist(), groups.tolist())
        covered += low <= truth <= high
    assert 0.93 <= covered / tries <= 0.97


def test_counting_questions_of_a_passage_as_independent_would_cover_too_little():
    rng = numpy.random.default_rng(0)
    groups = numpy.repeat(numpy.arange(60), 4)
    covered = 0
    for _ in range(300):
        easy = rng.beta(1.2, 0.8, 60)
        credits = (rng.random(240) < easy[groups]).astype(float)
        low, high = clustered_interval(list(credits), range(240))
        covered += low <= 0.6 <= high
    assert covered / 300 < 0.88


@pytest.mark.parametrize("seed", range(5))
def test_mcnemar_is_that_of_statsmodels(seed):
    from statsmodels.stats.contingency_tables import mcnemar as peer

    rng = random.Random(seed)
    pairs = [(rng.random() < 0.7, rng.random() < 0.5) for _ in range(rng.choice([8, 60, 869]))]
    table = [[sum(pair == (a, b) for pair in pairs) for b in (1, 0)] for a in (1, 0)]
    first, second = zip(*pairs, strict=True)
    assert mcnemar(first, second) == pytest.approx(peer(table, exact=True).pvalue)


@pytest.mark.parametrize("values", [[], [0.2], [0.01, 0.04, 0.03, 0.005], [0.5, 0.5, 0.001]])
def test_holm_is_that_of_statsmodels(values):
    from statsmodels.stats.multitest import multipletests

    expected = multipletests(values, method="holm")[1].tolist() if values else []
    assert holm(values) == pytest.approx(expected)


def test_a_pair_has_one_adjusted_p_value_over_all_pairs():
    rng = random.Random(4)
    right = [[rng.random() < p for _ in range(200)] for p in (0.8, 0.6, 0.55)]
    pairs = [(0, 1), (0, 2), (1, 2)]
    raw = [mcnemar(right[i], right[j]) for i, j in pairs]
    assert adjusted_pairwise(right) == dict(zip(pairs, holm(raw), strict=True))
    assert adjusted_pairwise(right[:1]) == {}


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.53125, "0.5313"), (0.21875, "0.2188"), (0.30625, "0.3063"), (1.0, "1.0000")],
)
def test_figures_are_rounded_as_the_report_rounds_them(value, text):
    """Halves go up, as in JavaScript's toFixed."""
    assert format_accuracy(value) == text
    assert format_accuracy(2.675, 2) == "2.67", "the double below 2.675, as in JavaScript"


def test_published_shares_are_counts_of_the_rows_they_were_measured_on():
    assert implied_count(0.7765, 434) == 337 and implied_count(0.7448, 435) == 324
    assert implied_count(0.7765, 100) is None and implied_count(0.5, 0) is None


def test_two_shares_are_compared_by_fishers_exact_test():
    expected = stats.fisher_exact([[661, 208], [631, 238]]).pvalue
    assert two_shares(661, 631, 869) == pytest.approx(expected)
    assert two_shares(500, 500, 869) == pytest.approx(1.0)


def test_order_effect_counts_changes_and_places_over_all_orders():
    questions = [Question(f"q{i}", "", "?", ("물", "불", "흙"), 1) for i in range(3)]

    def answered(id, *by_order):
        return ChoiceScores(id, (0.0,) * 3, (1 / 3,) * 3, 1, 0.0, by_order)

    # rotations 123, 231, 312: always choice 1; always what stands first; asked once only
    scored = [answered("q0", 1, 1, 1), answered("q1", 1, 2, 3), answered("q2")]
    effect = order_effect(questions, [1, 1, 1], scored)
    assert effect == {
        "order_changes": 0.5,
        "order_positions": "4/1/1",
        "order_key_positions": "2/2/2",
    }
    assert order_effect(questions, [1, 1, 1], [answered("q")] * 3) == {}


def test_mcnemar_is_the_exact_binomial_on_the_questions_they_differ_in():
    first = [True] * 9 + [False] * 2 + [True] * 30 + [False] * 5
    second = [False] * 9 + [True] * 2 + [True] * 30 + [False] * 5
    brute = 2 * sum(math.comb(11, k) for k in range(3)) / 2**11
    assert mcnemar(first, second) == pytest.approx(brute)
    assert mcnemar(second, first) == pytest.approx(brute)
    assert mcnemar(first, first) == 1.0


def test_macro_f1_is_scikit_learns():
    rng = random.Random(1)
    key = [rng.randint(1, 5) for _ in range(200)]
    answers = [rng.randint(1, 4) for _ in range(200)]
    expected = f1_score(key, answers, average="macro", zero_division=0)
    assert macro_f1(key, [(answer,) for answer in answers]) == pytest.approx(expected)


def test_macro_f1_shares_a_torn_guess_among_its_choices():
    # Of class 1: half a hit, half a miss, half a false alarm; the same of class 2.
    assert macro_f1([1, 2], [(1, 2), (1, 2)]) == pytest.approx(0.5)


def test_most_common_takes_the_smallest_of_equals():
    assert most_common([3, 2, 2, 3, 5]) == (2, 0.4)


def test_calibration_error_is_the_distance_of_each_bin_weighted_by_its_size():
    sure = [0.95, 0.97, 0.55, 0.52, 1.0]
    right = [True, False, True, True, True]
    high = abs((0.95 + 0.97 + 1.0) / 3 - 2 / 3)
    middle = abs((0.55 + 0.52) / 2 - 1)
    assert calibration_error(sure, right) == pytest.approx((3 * high + 2 * middle) / 5)
    assert calibration_error([1.0, 1.0], [True, True]) == 0.0


def test_positions_count_every_choice_up_to_the_last_that_is_an_answer():
    assert positions([1, 3, 3, 1, 1]) == "3/0/2"
