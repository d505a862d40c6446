"""Cases for the Triton interpreter; `test_kernels.py` runs them in a process with TRITON_INTERPRET=1."""

import pytest
import torch

from harmoclip.ops import mask_pool, region_pool, roi_align, span_pool

# the interpreter of triton 3.2 loops over arrays of one number
pytestmark = pytest.mark.filterwarnings("ignore:Conversion of an array:DeprecationWarning")
GRID = (5, 9)
TOLERANCE = {torch.float32: (1e-5, 1e-5), torch.float16: (4e-3, 4e-3)}
INDEX = torch.tensor([2, 0, 2, 0, 0, 2, 2])


def draw(dtype, channels=20):
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randn(3, 2 + GRID[0] * GRID[1], channels, generator=generator).to(dtype)
    boxes = torch.rand(len(INDEX), 2, 2, generator=generator).sort(1).values.flatten(1)
    masks = torch.rand(len(INDEX), *GRID, generator=generator)
    return tokens, boxes, masks


def agree(function, *inputs):
    results = []
    for backend in ("triton", "cpu"):
        leaves = [x.detach().requires_grad_() for x in inputs]
        out = function(*leaves, backend=backend)
        weight = torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).to(out.dtype)
        results.append((out, *torch.autograd.grad(out, leaves, weight)))
    rtol, atol = TOLERANCE[inputs[0].dtype]
    torch.testing.assert_close(*results, rtol=rtol, atol=atol)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("normalize_tokens", [False, True])
def test_region_pool(dtype, normalize_tokens):
    tokens, boxes, _ = draw(dtype, channels=20 if normalize_tokens else 150)
    options = {"grid": GRID, "prefix": 2, "bins": 3, "normalize_tokens": normalize_tokens}
    agree(lambda t, backend: region_pool(t, boxes, INDEX, backend=backend, **options), tokens)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_region_pool_of_a_transposed_sequence(dtype):
    tokens, boxes, _ = draw(dtype, channels=17)
    tokens = tokens.transpose(0, 1).contiguous().transpose(0, 1)
    agree(lambda t, backend: region_pool(t, boxes, INDEX, grid=GRID, prefix=2, backend=backend), tokens)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_mask_pool_in_tokens_and_masks(dtype):
    tokens, _, masks = draw(dtype)
    agree(lambda t, m, backend: mask_pool(t, m, INDEX, grid=GRID, prefix=2, backend=backend), tokens, masks)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_span_pool(dtype):
    tokens, _, _ = draw(dtype)
    spans = torch.tensor([[0, 3], [4, 5], [7, 7], [2, 47]])
    agree(lambda t, backend: span_pool(t, spans, INDEX[:4], backend=backend), tokens)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize(("ratio", "aligned"), [(-1, False), (-1, True), (2, True)])
def test_roi_align(dtype, ratio, aligned):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 6, 7, 9, generator=generator).to(dtype)
    corners = torch.randn(8, 4, generator=generator) * 8
    corners[0] = torch.tensor([-1.0, -1, 9, 7])  # samples on the border of validity
    corners[1] = torch.tensor([-300.0, -9, 400, 9])
    rois = torch.cat([torch.randint(2, (8, 1), generator=generator), corners], 1)
    agree(lambda f, backend: roi_align(f, rois, (3, 2), 0.7, ratio, aligned, backend=backend), features)


def test_nan_boxes_and_foreign_images_give_nan():
    tokens, boxes, _ = draw(torch.float32, channels=3)
    boxes[1, 2] = torch.nan
    index = INDEX.clone()
    index[3] = 9
    out = region_pool(tokens, boxes, index, grid=GRID, prefix=2, backend="triton")
    assert out.isnan().all(1).tolist() == [False, True, False, True, False, False, False]


def test_no_boxes():
    tokens, boxes, _ = draw(torch.float32, channels=3)
    out = region_pool(tokens.requires_grad_(), boxes[:0], INDEX[:0], grid=GRID, prefix=2, backend="triton")
    assert out.shape == (0, 3)
    assert not torch.autograd.grad(out.sum(), tokens)[0].any()
