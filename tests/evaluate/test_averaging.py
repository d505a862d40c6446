import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harmoclip.errors import InputError
from harmoclip.evaluate import average_weights, pareto_front

POINTS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12)


def test_weights_are_averaged_and_counters_kept():
    before = {"w": torch.randn(3, 2), "steps": torch.tensor(3)}
    after = {"w": torch.randn(3, 2), "steps": torch.tensor(9)}
    mixed = average_weights(before, after, 0.3)
    torch.testing.assert_close(mixed["w"], 0.7 * before["w"] + 0.3 * after["w"])
    assert mixed["steps"] == 9
    for share, end in ((0.0, before), (1.0, after)):
        torch.testing.assert_close(average_weights(before, after, share)["w"], end["w"], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("other", "share", "message"),
    [
        ({"w": torch.ones(2)}, 1.5, "share is 1.5"),
        ({"v": torch.ones(2)}, 0.5, "'v'"),
        ({"w": torch.ones(3)}, 0.5, "'w'"),
    ],
)
def test_what_cannot_be_averaged_is_named(other, share, message):
    with pytest.raises(InputError, match=message):
        average_weights({"w": torch.ones(2)}, other, share)


@given(POINTS)
def test_nothing_beats_the_front_and_all_else_is_beaten(points):
    front = set(pareto_front(points))
    for i, (x, y) in enumerate(points):
        beaten = any(a >= x and b >= y and (a, b) != (x, y) for a, b in points)
        assert (i in front) == (not beaten)
