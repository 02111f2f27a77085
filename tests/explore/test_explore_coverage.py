"""Errors agree with statsmodels; intervals hold the truth as often as they say."""

import numpy
import pytest

from solution.explore.statistics import clustered_error, clustered_interval


@pytest.mark.parametrize("seed", range(5))
def test_clustered_error_is_that_of_statsmodels(seed):
    regression = pytest.importorskip("statsmodels.api")
    rng = numpy.random.default_rng(seed)
    groups = rng.integers(0, rng.integers(5, 80), 300)
    credits = (rng.random(300) < rng.beta(2, 1, 80)[groups]).astype(float)
    fit = regression.OLS(credits, numpy.ones(300)).fit(
        cov_type="cluster", cov_kwds={"groups": groups}
    )
    assert clustered_error(list(credits), list(groups)) == pytest.approx(fit.bse[0])


@pytest.mark.parametrize(
    ("passages", "each", "spread", "share"),
    [
        (434, 1, None, 0.74),  # the public half, every question by itself
        (100, 4, 1.2, 0.6),  # passages far apart in difficulty
        (200, 3, 8.0, 0.5),  # passages much alike
        (300, 2, 2.0, 0.85),
    ],
)
def test_95_percent_intervals_hold_the_truth_in_93_to_97_of_100_cases(
    passages, each, spread, share
):
    rng = numpy.random.default_rng(passages)
    groups = numpy.repeat(numpy.arange(passages), each)
    held, cases = 0, 2000
    for _ in range(cases):
        if spread is None:
            easy = numpy.full(passages, share)
        else:
            easy = rng.beta(spread * share, spread * (1 - share), passages)
        credits = (rng.random(len(groups)) < easy[groups]).astype(float)
        low, high = clustered_interval(credits.tolist(), groups.tolist())
        held += low <= share <= high
    assert 0.93 <= held / cases <= 0.97
