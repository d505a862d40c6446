"""The ways in which the CPU computes a pooling product: all cells at once, bags of cells, box by box."""

import pytest
import torch

from harmoclip.ops._weights import region_factors
from harmoclip.ops.backends import bags, cpu, reference

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


@pytest.fixture(params=["cells", "bags", "bags in parts"])
def way(request, monkeypatch):
    """The CPU's path held to one of its ways."""
    monkeypatch.setattr(cpu, "_bags_pay", lambda *_, **__: request.param != "cells")
    if request.param == "bags in parts":
        monkeypatch.setattr(bags, "CHUNK", 10)
    return request.param


@pytest.mark.parametrize("index", [[0, 0, 1, 1, 2, 2], [2, 0, 1, 2, 0, 1], [1, 1, 1, 1, 1, 1, 1, 2], [0]])
def test_every_way_gives_the_values_of_the_formula(way, index):
    tokens, rows, cols, where, prefix = draw(index)
    exact = reference.pool(tokens.double(), rows.double(), cols.double(), where, prefix)
    torch.testing.assert_close(cpu.pool(tokens, rows, cols, where, prefix), exact.float())
    grad = torch.randn(len(index), 1, 1, 6)
    leaf = tokens.double().requires_grad_()
    out = reference.pool(leaf, rows.double(), cols.double(), where, prefix)
    (expected,) = torch.autograd.grad(out, leaf, grad.double())
    spread = cpu.spread(grad, rows, cols, where, *tokens.shape[:2], prefix)
    torch.testing.assert_close(spread, expected.float())


@pytest.mark.parametrize("channels", [2, 4, 64])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_bags_read_every_layout(layout, channels, monkeypatch):
    monkeypatch.setattr(bags, "TABLE", 1)
    monkeypatch.setattr(bags, "CHANNELS", channels)  # of 6 at a time
    tokens, rows, cols, index, prefix = draw([2, 0, 1, 0], layout)
    assert bags.are_rows(tokens) == (layout in ("contiguous", "sequence first"))
    expected = reference.pool(tokens, rows, cols, index, prefix)
    torch.testing.assert_close(bags.pool(tokens, rows, cols, index, prefix), expected)


def test_bags_do_not_see_the_cells_outside_a_box():
    tokens, rows, cols, index, prefix = draw([1, 0])
    outside = (rows[0, 0, :, None] * cols[0, 0]).flatten() == 0
    tokens[1, prefix:][outside] = torch.nan
    assert outside.any()
    assert cpu.pool(tokens, rows, cols, index, prefix).isfinite().all()


def seen(monkeypatch, module, name):
    """Whether a function of a module is called, counted."""
    calls, function = [], getattr(module, name)
    monkeypatch.setattr(module, name, lambda *given: (calls.append(given), function(*given))[1])
    return calls


def test_bags_are_chosen_for_boxes_and_not_for_whole_images(monkeypatch):
    calls = seen(monkeypatch, bags, "pool")

    def chosen(side, boxes, dtype=torch.float32):
        low = torch.rand(boxes, 2, generator=torch.Generator().manual_seed(0)) * (1 - side)
        rows, cols = region_factors(torch.cat([low, low + side], 1), (14, 14), (1, 1), -1)
        calls.clear()
        index = torch.zeros(boxes, dtype=torch.int64)
        cpu.pool(torch.randn(2, 196, 8).to(dtype), rows[:, None], cols[:, None], index, 0)
        return bool(calls)

    assert chosen(0.3, 20)
    assert not chosen(1.0, 200)
    assert not chosen(0.3, 20, torch.bfloat16)


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("ratio", [-1, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_kernel_and_bags_give_the_same_maps(monkeypatch, aligned, ratio, dtype):
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(2, 5, 9, 11, generator=generator).to(dtype)
    corners = torch.rand(7, 2, 2, generator=generator).sort(1).values.flatten(1) * 12 - 1
    where = (corners.to(torch.float64 if dtype == torch.float64 else torch.float32), torch.arange(7) % 2)
    results = []
    for pays in (True, False):
        monkeypatch.setattr(cpu, "_kernel_pays", lambda *_, pays=pays: pays)
        results.append(cpu.roi_align(maps, *where, [2, 3], 0.9, ratio, aligned))
    torch.testing.assert_close(*results, **({"rtol": 1e-2, "atol": 1e-2} if dtype == torch.bfloat16 else {}))


def test_the_number_of_threads_is_what_it_was():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        tokens, rows, cols, index, prefix = draw([1, 0])
        bags.pool(tokens, rows, cols, index, prefix)
        with pytest.raises(IndexError):
            bags.pool(tokens[..., 0], rows, cols, index, prefix)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
