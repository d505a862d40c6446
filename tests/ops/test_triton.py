"""The kernels on a CUDA device; without one, `test_kernels.py` compiles and interprets them."""

import pytest
import torch
import torchvision

from harmoclip.ops import mask_pool, region_pool, roi_align
from harmoclip.ops._pooling import pool_op

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
TOLERANCE = {torch.float32: 1e-5, torch.float16: 4e-3, torch.bfloat16: 2e-2, torch.float64: 1e-10}


def draw(dtype, regions=200):
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randn(8, 1 + 16 * 16, 300, generator=generator).to("cuda", dtype)
    boxes = torch.rand(regions, 2, 2, generator=generator).sort(1).values.flatten(1).cuda()
    return tokens.requires_grad_(), boxes, torch.randint(8, (regions,), generator=generator).cuda()


def run(tokens, boxes, index, backend):
    out = region_pool(tokens, boxes, index, grid=(16, 16), prefix=1, bins=7, backend=backend)
    return out, *torch.autograd.grad(out.square().sum(), tokens)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_kernels_agree_with_the_reference(dtype):
    data = draw(dtype)
    tolerance = TOLERANCE[dtype]
    torch.testing.assert_close(run(*data, "triton"), run(*data, "reference"), atol=tolerance, rtol=tolerance)


def test_same_bits_every_time():
    data = draw(torch.float16)
    first = run(*data, "auto")
    for _ in range(5):
        torch.testing.assert_close(run(*data, "auto"), first, rtol=0, atol=0)


def test_nothing_waits_for_the_device():
    tokens, boxes, index = draw(torch.float16)
    masks = torch.rand(len(boxes), 16, 16, device="cuda")
    run(tokens, boxes, index, "auto")  # compiles
    mask_pool(tokens, masks, index, grid=(16, 16), prefix=1)
    torch.cuda.set_sync_debug_mode("error")
    try:
        run(tokens, boxes, index, "auto")
        mask_pool(tokens, masks, index, grid=(16, 16), prefix=1)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("ratio", [-1, 2])
def test_roi_align_is_that_of_torchvision(aligned, ratio):
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(2, 40, 20, 30, generator=generator).cuda().requires_grad_()
    corners = torch.rand(50, 2, 2, generator=generator).sort(1).values.flatten(1) * 40 - 4
    rois = torch.cat([torch.randint(2, (50, 1), generator=generator), corners], 1).cuda()
    results = []
    for function in (roi_align, torchvision.ops.roi_align):
        out = function(maps, rois, (7, 5), 0.7, ratio, aligned)
        results.append((out, *torch.autograd.grad(out.square().sum(), maps)))
    torch.testing.assert_close(*results, atol=1e-4, rtol=1e-4)


def test_operator_passes_opcheck():
    tokens, _, index = draw(torch.float32, regions=6)
    rows, cols = torch.rand(6, 1, 16, device="cuda"), torch.rand(6, 1, 16, device="cuda")
    torch.library.opcheck(pool_op, (tokens, rows, cols, index, 1, "triton"))


def test_compiles_whole():
    tokens, boxes, index = draw(torch.float16)
    compiled = torch.compile(region_pool, fullgraph=True, backend="aot_eager")
    results = [
        function(tokens, boxes, index, grid=(16, 16), prefix=1) for function in (compiled, region_pool)
    ]
    torch.testing.assert_close(*results)
