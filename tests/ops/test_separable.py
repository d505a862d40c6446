"""The ways in which the CPU computes a pooling product: all cells at once, bags of cells, box by box."""

import pytest
import torch

from harmoclip.ops import bagwise, boxwise, reference, separable
from harmoclip.ops.weights import region_factors

GRID, PREFIX = (5, 7), 2
LAYOUTS = {
    "contiguous": lambda tokens: tokens,
    "sequence first": lambda tokens: tokens.transpose(0, 1).contiguous().transpose(0, 1),
    "channels first": lambda tokens: tokens.transpose(1, 2).contiguous().transpose(1, 2),
    "every other": lambda tokens: tokens.repeat_interleave(2, 1)[:, ::2],
}


def draw(index, layout="contiguous"):
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randn(3, PREFIX + GRID[0] * GRID[1], 6, generator=generator)
    boxes = torch.rand(len(index), 2, 2, generator=generator).sort(1).values.flatten(1)
    rows, cols = region_factors(boxes, GRID, (2, 2), -1)
    return LAYOUTS[layout](tokens), rows[:, None], cols[:, None], torch.tensor(index), PREFIX


@pytest.fixture(params=["cells", "bags", "boxes"])
def way(request, monkeypatch):
    """`separable` held to one of its ways."""
    monkeypatch.setattr(bagwise, "pays", lambda *_: request.param == "bags")
    monkeypatch.setattr(boxwise, "pays", lambda *_: request.param == "boxes")
    return request.param


@pytest.mark.parametrize("index", [[0, 0, 1, 1, 2, 2], [2, 0, 1, 2, 0, 1], [1, 1, 1, 1, 1, 1, 1, 2], [0]])
def test_every_way_gives_the_values_of_the_formula(way, index):
    tokens, rows, cols, where, prefix = draw(index)
    exact = reference.pool(tokens.double(), rows.double(), cols.double(), where, prefix)
    torch.testing.assert_close(separable.pool(tokens, rows, cols, where, prefix), exact.float())
    grad = torch.randn(len(index), 1, 1, 6)
    leaf = tokens.double().requires_grad_()
    out = reference.pool(leaf, rows.double(), cols.double(), where, prefix)
    (expected,) = torch.autograd.grad(out, leaf, grad.double())
    spread = separable.spread(grad, rows, cols, where, *tokens.shape[:2], prefix)
    torch.testing.assert_close(spread, expected.float())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_bags_read_every_layout_they_accept(layout):
    tokens, *rest = draw([2, 0, 1, 0], layout)
    assert bagwise.pays(tokens, *rest[:2]) == (layout in ("contiguous", "sequence first"))
    torch.testing.assert_close(separable.pool(tokens, *rest), reference.pool(tokens, *rest))


def test_bags_do_not_see_the_cells_outside_a_box():
    tokens, rows, cols, index, prefix = draw([1, 0])
    outside = (rows[0, 0, :, None] * cols[0, 0]).flatten() == 0
    tokens[1, prefix:][outside] = torch.nan
    assert outside.any()
    assert separable.pool(tokens, rows, cols, index, prefix).isfinite().all()


def test_bags_are_chosen_for_boxes_and_not_for_whole_images():
    def pays(side, boxes):
        low = torch.rand(boxes, 2, generator=torch.Generator().manual_seed(0)) * (1 - side)
        rows, cols = region_factors(torch.cat([low, low + side], 1), (14, 14), (1, 1), -1)
        return bagwise.pays(torch.randn(2, 196, 8), rows[:, None], cols[:, None])

    assert pays(0.3, 20)
    assert not pays(1.0, 200)
    assert not bagwise.pays(torch.randn(2, 196, 8).bfloat16(), torch.ones(1, 1, 14), torch.ones(1, 1, 14))
