from itertools import pairwise

import pytest

from harmoclip.train.schedule import rate


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_rises_linearly_then_never_again(schedule):
    rates = [rate(step, steps=50, warmup=10, schedule=schedule) for step in range(50)]
    assert rates[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert all(a >= b for a, b in pairwise(rates[9:]))
    assert rates[-1] > 0


def test_cosine_is_half_in_the_middle_and_linear_falls_evenly():
    assert rate(30, steps=50, warmup=10, schedule="cosine") == pytest.approx(0.5)
    assert rate(20, steps=50, warmup=10, schedule="linear") == pytest.approx(0.75)
    assert rate(49, steps=50, warmup=0, schedule="constant") == 1
