"""The closed form of RoIAlign's weights against its samples, one by one."""

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harmoclip.ops._weights import axis_weights, region_factors


def sample_by_sample(start, extent, size, bins, ratio):
    """The definition, in Python's own float64."""
    out = [[0.0] * size for _ in range(bins)]
    step = extent / bins
    count = ratio if ratio > 0 else max(0, math.ceil(step))
    for b in range(bins):
        for i in range(count):
            position = start + b * step + (i + 0.5) * step / count
            if not -1 <= position <= size:
                continue
            position = min(max(position, 0), size - 1)
            for cell in range(size):
                out[b][cell] += max(0, 1 - abs(position - cell)) / count
    return out


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    start=st.one_of(st.integers(-20, 40).map(lambda x: x / 4), st.floats(-60, 60, width=32)),
    extent=st.one_of(st.integers(-20, 80).map(lambda x: x / 4), st.floats(-60, 300, width=32)),
    size=st.integers(1, 11),
    bins=st.integers(1, 7),
    ratio=st.sampled_from([-1, 0, 1, 2, 5]),
)
def test_weights_are_the_sum_over_samples(start, extent, size, bins, ratio):
    expected = torch.tensor([sample_by_sample(start, extent, size, bins, ratio)], dtype=torch.float64)
    one = torch.tensor([start, extent], dtype=torch.float64)[:, None]
    out = axis_weights(one[0], one[1], size, bins, ratio)
    torch.testing.assert_close(out, expected, atol=1e-9, rtol=1e-9)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    edges=st.lists(st.floats(0, 1), min_size=4, max_size=4),
    grid=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    bins=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    ratio=st.sampled_from([-1, 1, 3]),
)
def test_a_region_is_the_mean_of_its_bins(edges, grid, bins, ratio):
    box = torch.tensor([edges], dtype=torch.float64).unflatten(1, (2, 2)).sort(1).values.flatten(1)
    x1, y1, x2, y2 = box.unbind(1)
    for factor, low, high, size, k in zip(
        region_factors(box, grid, bins, ratio), (y1, x1), (y2, x2), grid, bins, strict=True
    ):
        start, end = low * size - 0.5, high * size - 0.5
        expected = axis_weights(start, end - start, size, k, ratio).mean(1)
        torch.testing.assert_close(factor, expected, atol=1e-9, rtol=1e-9)
