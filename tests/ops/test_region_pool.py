import pytest
import torch
import torchvision

from harmoclip.errors import InputError
from harmoclip.ops import region_pool, region_weights

GRID = (6, 9)


def draw(dtype=torch.float32, batch=3, regions=11, channels=5, prefix=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randn(
        batch, prefix + GRID[0] * GRID[1], channels, generator=generator, dtype=torch.float64
    )
    corners = torch.rand(regions, 2, 2, generator=generator).sort(1).values
    index = torch.randint(batch, (regions,), generator=generator)
    return tokens.to(dtype), corners.flatten(1), index


def torchvision_mean(tokens, boxes, index, prefix, bins, ratio):
    maps = tokens[:, prefix:].unflatten(1, GRID).permute(0, 3, 1, 2).contiguous()
    size = torch.tensor([GRID[1], GRID[0]] * 2)
    rois = torch.cat([index[:, None], boxes * size], 1).to(tokens.dtype)
    return torchvision.ops.roi_align(maps, rois, bins, 1.0, ratio, True).mean((2, 3))


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("ratio", [-1, 1, 3])
@pytest.mark.parametrize("bins", [1, 4, (7, 2)])
def test_values_are_those_of_torchvision(backend, dtype, ratio, bins):
    tokens, boxes, index = draw(dtype)
    out = region_pool(
        tokens, boxes, index, grid=GRID, prefix=2, bins=bins, sampling_ratio=ratio, backend=backend
    )
    torch.testing.assert_close(
        out, torchvision_mean(tokens, boxes, index, 2, bins, ratio), atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("normalize_tokens", [False, True])
def test_gradients_of_first_and_second_order(normalize_tokens):
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randn(2, 7, 2, generator=generator, dtype=torch.float64, requires_grad=True)
    boxes = torch.tensor([[0.0, 0.1, 0.7, 0.9], [0.4, 0.0, 0.5, 1.0], [0.0, 0.0, 1.0, 0.6]])
    index = torch.tensor([1, 0, 1])

    def function(tokens):
        return region_pool(tokens, boxes, index, grid=(2, 3), prefix=1, normalize_tokens=normalize_tokens)

    assert torch.autograd.gradcheck(function, (tokens,))
    assert torch.autograd.gradgradcheck(function, (tokens,))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float16, 4e-3), (torch.bfloat16, 2e-2)])
def test_low_precision_is_rounded_once(dtype, tolerance):
    tokens, boxes, index = draw(torch.float64)
    exact = region_pool(tokens.to(dtype).double(), boxes, index, grid=GRID, prefix=2)
    out = region_pool(tokens.to(dtype), boxes, index, grid=GRID, prefix=2)
    assert out.dtype == dtype
    torch.testing.assert_close(out.double(), exact, atol=tolerance / 4, rtol=tolerance)


def test_layouts_agree():
    tokens, boxes, index = draw()
    expected = region_pool(tokens, boxes, index, grid=GRID, prefix=2)
    nhwc = tokens[:, 2:].unflatten(1, GRID)
    for features, layout in [
        (nhwc, "nhwc"),
        (nhwc.contiguous(), "nhwc"),
        (nhwc.permute(0, 3, 1, 2), "nchw"),
        (nhwc.permute(0, 3, 1, 2).contiguous(), "nchw"),
    ]:
        torch.testing.assert_close(region_pool(features, boxes, index, layout=layout), expected)
    sequence_first = tokens.transpose(0, 1).contiguous().transpose(0, 1)
    torch.testing.assert_close(region_pool(sequence_first, boxes, index, grid=GRID, prefix=2), expected)


def test_normalizing_is_what_it_says():
    tokens, boxes, index = draw()
    unit = torch.nn.functional.normalize(tokens, dim=-1)
    expected = torch.nn.functional.normalize(region_pool(unit, boxes, index, grid=GRID, prefix=2), dim=-1)
    out = region_pool(tokens, boxes, index, grid=GRID, prefix=2, normalize_tokens=True, normalize=True)
    torch.testing.assert_close(out, expected)


@pytest.mark.parametrize("counts", [[0, 0, 0], [1, 0, 0], [40, 1, 0], [3, 3, 3], [0, 0, 17]])
def test_any_share_of_boxes_among_images(counts):
    tokens, boxes, _ = draw(regions=sum(counts), dtype=torch.float64)
    index = torch.arange(3).repeat_interleave(torch.tensor(counts))[torch.randperm(sum(counts))]
    tokens.requires_grad_()
    results = []
    for backend in ("cpu", "reference"):
        out = region_pool(tokens, boxes, index, grid=GRID, prefix=2, backend=backend)
        results.append((out, *torch.autograd.grad(out.square().sum(), tokens)))
    torch.testing.assert_close(*results)


def test_zero_boxes_stay_connected():
    tokens, boxes, index = draw(regions=0)
    out = region_pool(tokens.requires_grad_(), boxes, index, grid=GRID, prefix=2)
    assert out.shape == (0, 5)
    (grad,) = torch.autograd.grad(out.sum(), tokens)
    assert not grad.any()


def test_mistakes_are_told():
    tokens, boxes, index = draw()
    boxes[4, 2] = torch.nan
    with pytest.raises(InputError, match="region 4 is impossible"):
        region_pool(tokens, boxes, index, grid=GRID, prefix=2)
    boxes[4, 2] = 1
    with pytest.raises(InputError, match="run from 0 to 3"):
        region_pool(tokens, boxes, index.clone().index_fill_(0, torch.tensor([1]), 3), grid=GRID, prefix=2)
    with pytest.raises(InputError, match="56 tokens are not 1 prefix"):
        region_pool(tokens, boxes, index, grid=GRID, prefix=1)
    with pytest.raises(InputError, match="give grid"):
        region_pool(tokens, boxes, index)
    with pytest.raises(InputError, match="backend must be"):
        region_pool(tokens, boxes, index, grid=GRID, prefix=2, backend="cuda")
    with pytest.raises(InputError, match=r"boxes must be \[R, 4\]"):
        region_pool(tokens, boxes[:, :3], index, grid=GRID, prefix=2)


def test_weights_are_the_operator():
    tokens, boxes, index = draw()
    weights = region_weights(boxes, GRID, bins=4)
    expected = torch.einsum("rs,rsc->rc", weights.flatten(1), tokens[index, 2:])
    torch.testing.assert_close(region_pool(tokens, boxes, index, grid=GRID, prefix=2, bins=4), expected)
    torch.testing.assert_close(weights.sum((1, 2)), torch.ones(len(boxes)))


@pytest.mark.parametrize("side", [0.05, 0.9])
def test_small_boxes_of_a_large_grid_agree_with_the_reference(side):
    tokens = torch.randn(2, 1 + 40 * 40, 4, dtype=torch.float64, requires_grad=True)
    low = torch.rand(6, 2) * (1 - side)
    boxes, index = torch.cat([low, low + side], 1), torch.tensor([0, 1, 1, 0, 1, 1])
    results = []
    for backend in ("cpu", "reference"):
        out = region_pool(tokens, boxes, index, grid=(40, 40), prefix=1, backend=backend)
        results.append((out, *torch.autograd.grad(out.square().sum(), tokens)))
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize(
    "box",
    [[8.0, 9, 70, 80], [0.1, 0.1, 1.5, 0.5], [0.5, 0.1, 0.2, 0.4], [0.1, 0.9, 0.5, 0.2], [-0.2, 0, 1, 1]],
)
def test_impossible_boxes_are_told(box, backend):
    tokens, boxes, index = draw()
    boxes[3] = torch.tensor(box)
    if backend == "reference":  # which looks at no value
        assert region_pool(tokens, boxes, index, grid=GRID, prefix=2, backend=backend)[3].isnan().all()
        return
    for options in ({}, {"bins": 3}, {"normalize_tokens": True}):
        with pytest.raises(InputError, match=r"region 3 is impossible.*divide pixels"):
            region_pool(tokens, boxes, index, grid=GRID, prefix=2, **options)


def test_rounding_beyond_the_edge_is_cut_off():
    tokens, boxes, index = draw()
    boxes[0] = torch.tensor([0, 0.2, 1, 1])
    expected = region_pool(tokens, boxes, index, grid=GRID, prefix=2)
    boxes[0] = torch.tensor([-5e-5, 0.2, 1 + 4.8e-7, 1 + 9e-5])
    torch.testing.assert_close(
        region_pool(tokens, boxes, index, grid=GRID, prefix=2), expected, rtol=0, atol=0
    )


def test_boxes_without_area_give_zeros():
    tokens, boxes, index = draw()
    boxes[2] = torch.tensor([0.3, 0.1, 0.3, 0.9])
    assert not region_pool(tokens, boxes, index, grid=GRID, prefix=2)[2].any()


@pytest.mark.parametrize("convert", [torch.Tensor.float, torch.Tensor.bool, torch.Tensor.tolist])
def test_indices_are_whole_numbers(convert):
    tokens, boxes, index = draw()
    with pytest.raises(InputError, match="image_index is"):
        region_pool(tokens, boxes, convert(index), grid=GRID, prefix=2)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32])
def test_any_whole_numbers_serve_as_indices(dtype):
    tokens, boxes, index = draw()
    expected = region_pool(tokens, boxes, index, grid=GRID, prefix=2)
    torch.testing.assert_close(region_pool(tokens, boxes, index.to(dtype), grid=GRID, prefix=2), expected)


@pytest.mark.parametrize("boxes", [[[0.1, 0.1, 0.5, 0.5]], torch.zeros(1, 4, dtype=torch.int64)])
def test_boxes_are_tensors_of_floating_numbers(boxes):
    with pytest.raises(InputError, match="boxes"):
        region_pool(draw()[0], boxes, torch.tensor([0]), grid=GRID, prefix=2)
