import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harmoclip.errors import EvaluationError, InputError
from harmoclip.evaluate import pareto_front, trade_off

POINTS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12)


def test_trade_off_needs_both_sides():
    assert trade_off({"i2t_r1": 1.0, "t2i_r1": 1.0, "box_top1": 0.0}) == 0
    assert trade_off({"i2t_r1": 0.2, "t2i_r1": 0.4, "box_top1": 0.6}) == pytest.approx(2 * 0.3 * 0.6 / 0.9)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_values_that_are_no_score_are_named(value):
    with pytest.raises(EvaluationError, match=r"1 of 3 measures are not finite.*t2i_r1"):
        trade_off({"i2t_r1": 0.2, "t2i_r1": value, "box_top1": 0.6})
    with pytest.raises(EvaluationError, match=r"1 of 2 points are not finite.*point 1"):
        pareto_front([(0.1, 0.2), (0.3, value)])


def test_what_is_no_fraction_or_missing_is_refused():
    with pytest.raises(InputError, match=r"\[0, 1\]"):
        trade_off({"i2t_r1": 20.0, "t2i_r1": 40.0, "box_top1": 60.0})
    with pytest.raises(InputError, match=r"no box_top1"):
        trade_off({"i2t_r1": 0.2, "t2i_r1": 0.4})
    with pytest.raises(EvaluationError, match=r"no points"):
        pareto_front([])


@given(POINTS)
def test_nothing_beats_the_front_and_all_else_is_beaten(points):
    front = set(pareto_front(points))
    for i, (x, y) in enumerate(points):
        beaten = any(a >= x and b >= y and (a, b) != (x, y) for a, b in points)
        assert (i in front) == (not beaten)
