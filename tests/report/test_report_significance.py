import itertools
import random

import pytest

from solution.explore import adjusted_pairwise
from solution.report.significance import paired_difference, significance_groups


def test_models_share_a_letter_exactly_if_they_do_not_differ_significantly():
    rng = random.Random(2)
    for count in (2, 3, 5, 8):
        for _ in range(40):
            pairs = {
                pair: rng.choice([0.001, 0.6])
                for pair in itertools.combinations(range(count), 2)
            }
            found = significance_groups(count, pairs)
            assert all(found)
            for (a, b), p_value in pairs.items():
                assert bool(set(found[a]) & set(found[b])) == (p_value >= 0.05)


def test_equal_models_share_one_letter_and_distant_ones_none():
    right = [[True] * 60, [True] * 59 + [False], [False] * 60]
    assert significance_groups(3, adjusted_pairwise(right)) == ["a", "a", "b"]


def test_paired_difference_equals_the_t_test_without_clusters():
    from scipy.stats import ttest_rel

    rng = random.Random(3)
    after, before = ([float(rng.random() < p) for _ in range(90)] for p in (0.6, 0.4))
    interval = ttest_rel(after, before).confidence_interval(0.95)
    _, low, high = paired_difference(after, before, list(range(90)))
    assert (low, high) == pytest.approx((interval.low, interval.high))
