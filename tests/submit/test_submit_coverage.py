"""Coverage of the 95 % intervals of an ensemble's gain and of a proportion."""

import numpy

from solution.submit.score import wilson
from solution.submit.weights import measure_gain

CASES, ROWS = 1500, 300


def test_the_interval_of_a_gain_covers_93_to_97_percent():
    rng = numpy.random.default_rng(1)
    weights = numpy.array([0.2, 1.0, 1.0])
    held = 0
    # Three runs; the first is the best by far; the others are independent of it.
    skill = numpy.array([0.8, 0.55, 0.55])
    both = skill[1] * skill[2]
    either = skill[1] * (1 - skill[2]) + skill[2] * (1 - skill[1])
    # The two outvote the first where they agree; else the first decides.
    truth = both + either * skill[0] - skill[0]
    for _ in range(CASES):
        answers = rng.integers(0, 2, ROWS)
        right = rng.random((ROWS, 3)) < skill
        given = numpy.empty((ROWS, 2, 3))
        given[numpy.arange(ROWS), answers] = right
        given[numpy.arange(ROWS), 1 - answers] = ~right
        won = measure_gain(given, answers, range(ROWS), lambda *_: weights)
        held += won.low <= truth <= won.high
    assert 0.93 <= held / CASES <= 0.97


def test_wilsons_interval_covers_93_to_97_percent():
    rng = numpy.random.default_rng(2)
    for share in (0.3, 0.6, 0.74, 0.9):
        rights = rng.binomial(434, share, 20000)
        known = {int(right): wilson(int(right), 434) for right in set(rights.tolist())}
        held = numpy.mean([known[int(r)][0] <= share <= known[int(r)][1] for r in rights])
        assert 0.93 <= held <= 0.97
