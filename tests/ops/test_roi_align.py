import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st

from harmoclip.errors import BoxShapeError, InputError, QuantizedBatchError
from harmoclip.ops import RoIAlign, roi_align

coordinate = st.one_of(st.integers(-4, 24).map(lambda x: x / 2), st.floats(-60, 60, width=32))
box = st.tuples(st.integers(0, 1), coordinate, coordinate, coordinate, coordinate)


def features(dtype=torch.float32, channels=3):
    return torch.randn(2, channels, 6, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(
        dtype
    )


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    boxes=st.lists(box, min_size=1, max_size=6),
    size=st.sampled_from([1, 3, (2, 5), (7, 7)]),
    scale=st.sampled_from([1.0, 0.5, 0.37]),
    ratio=st.sampled_from([-1, 0, 1, 2, 5]),
    aligned=st.booleans(),
    double=st.booleans(),
    backend=st.sampled_from(["cpu", "reference"]),
)
def test_values_and_gradients_are_those_of_torchvision(boxes, size, scale, ratio, aligned, double, backend):
    dtype = torch.float64 if double else torch.float32
    rois = torch.tensor(boxes, dtype=dtype)
    if aligned and ratio <= 0:  # there torchvision fails to allocate for a box of negative size; ours is zero
        rois[:, 3:] = torch.maximum(rois[:, 1:3], rois[:, 3:])
    leaf = features(dtype).requires_grad_()
    results = []
    for function, options in ((roi_align, {"backend": backend}), (torchvision.ops.roi_align, {})):
        out = function(leaf, rois, size, scale, ratio, aligned, **options)
        weight = torch.randn(out.shape, generator=torch.Generator().manual_seed(1), dtype=dtype)
        results.append((out, *torch.autograd.grad(out, leaf, weight)))
    torch.testing.assert_close(*results, atol=2e-5, rtol=1e-5)


def test_boxes_of_negative_size_are_zero():
    rois = torch.tensor([[0.0, 5, 1, 2, 4]])
    assert not roi_align(features(), rois, 2, aligned=True).any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_low_precision_is_rounded_once(dtype):
    rois = torch.tensor([[0.0, 1, 1, 7, 5], [1, 0, 0, 3, 2]])
    out = roi_align(features(dtype), rois, 3)
    torch.testing.assert_close(out, roi_align(features(dtype).float(), rois, 3).to(dtype), rtol=0, atol=0)


def test_lists_arrays_and_modules_agree():
    corners = torch.tensor([[1.0, 1, 7, 5], [0, 0, 3, 2]])
    expected = roi_align(features(), torch.cat([torch.tensor([[0.0], [1.0]]), corners], 1), (3, 3), 1.0, 2)
    torch.testing.assert_close(roi_align(features(), [corners[:1], corners[1:]], 3, 1.0, 2), expected)
    torch.testing.assert_close(RoIAlign(3, 1.0, 2)(features(), (corners[:1], corners[1:])), expected)
    assert repr(RoIAlign(3, 1.0, 2)) == repr(torchvision.ops.RoIAlign(3, 1.0, 2))


def test_transposed_maps():
    rois = torch.tensor([[0.0, 1, 1, 7, 5]])
    transposed = features().transpose(2, 3)
    torch.testing.assert_close(roi_align(transposed, rois, 2), roi_align(transposed.contiguous(), rois, 2))


def test_no_boxes_stay_connected():
    leaf = features().requires_grad_()
    for boxes in (torch.zeros(0, 5), [torch.zeros(0, 4), torch.zeros(0, 4)]):
        out = roi_align(leaf, boxes, 2)
        assert out.shape == (0, 3, 2, 2)
        assert not torch.autograd.grad(out.sum(), leaf)[0].any()


@pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated")
def test_scripts():
    rois = torch.tensor([[0.0, 1, 1, 7, 5]])
    scripted = torch.jit.script(roi_align)
    torch.testing.assert_close(scripted(features(), rois, 2), roi_align(features(), rois, 2))
    module = torch.jit.script(RoIAlign([3, 3], 1.0, -1))
    torch.testing.assert_close(
        module(features(), [rois[:, 1:], rois[:, 1:]])[:1], roi_align(features(), rois, 3)
    )


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
@pytest.mark.parametrize("aligned", [True, False])
def test_quantized_features(aligned):
    def quantized(values):
        return torch.quantize_per_tensor(values, 0.1, 50, torch.quint8)

    one, rois = quantized(features()[:1]), quantized(torch.tensor([[0.0, 1, 1, 7, 5]]))
    out = roi_align(one, rois, 3, aligned=aligned)
    expected = torchvision.ops.roi_align(one, rois, 3, aligned=aligned).dequantize()
    torch.testing.assert_close(out.dequantize(), expected, atol=0.101, rtol=0)  # one step
    assert out.dtype == torch.quint8
    with pytest.raises(QuantizedBatchError, match="got 2"):
        roi_align(quantized(features()), rois, 3)


def test_is_one_node_to_fx():
    graph = torch.fx.symbolic_trace(RoIAlign(2, 1.0, -1))
    assert [node.op for node in graph.graph.nodes] == [
        "placeholder",
        "placeholder",
        "call_function",
        "output",
    ]


def test_gradients_of_second_order():
    leaf = features(torch.float64, channels=1)[:1, :, :3, :3].clone().requires_grad_()
    rois = torch.tensor([[0.0, 0, 0, 2, 2], [0, 0, 1, 3, 2]])
    assert torch.autograd.gradcheck(lambda x: roi_align(x, rois, 2), (leaf,))
    assert torch.autograd.gradgradcheck(lambda x: roi_align(x, rois, 2), (leaf,))


def test_mistakes_are_told():
    for boxes in (torch.zeros(1, 4), torch.zeros(5), [torch.zeros(1, 3)], [torch.zeros(4)]):
        with pytest.raises(BoxShapeError, match="boxes as"):
            roi_align(features(), boxes, 2)
    with pytest.raises(AssertionError):
        roi_align(features(), torch.zeros(1, 4), 2)
    with pytest.raises(InputError, match="region 0 is impossible"):
        roi_align(features(), torch.tensor([[0, torch.nan, 0, 1, 1]]), 2)
    with pytest.raises(InputError, match="must lie in"):
        roi_align(features(), torch.tensor([[2.0, 0, 0, 1, 1]]), 2)
