"""Intervals, paired tests and macro-F1 agree with brute force, scipy and scikit-learn."""

import math
import random

import numpy
import pytest
from scipy import stats
from sklearn.metrics import f1_score

from solution.explore.statistics import (
    calibration_error,
    clustered_error,
    clustered_interval,
    macro_f1,
    mcnemar,
    most_common,
    positions,
)


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


def test_interval_covers_the_truth_where_passages_differ_in_difficulty():
    rng = numpy.random.default_rng(0)
    groups = numpy.repeat(numpy.arange(60), 4)
    covered = plain = 0
    for _ in range(300):
        easy = rng.beta(1.2, 0.8, 60)  # mean 0.6, passages far apart
        credits = (rng.random(240) < easy[groups]).astype(float)
        low, high = clustered_interval(list(credits), list(groups))
        covered += low <= 0.6 <= high
        low, high = clustered_interval(list(credits), range(240))
        plain += low <= 0.6 <= high
    assert covered / 300 > 0.91
    assert plain / 300 < 0.88, "questions counted as if they were independent: too narrow"


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
