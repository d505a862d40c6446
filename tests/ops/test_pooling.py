"""The operators as citizens of PyTorch: schema, compile, vmap, export, autocast, determinism."""

import io

import pytest
import torch

from harmoclip.ops import mask_pool, region_pool, roi_align, span_pool
from harmoclip.ops._pooling import correlate_op, pool_op, roi_factors_op, spread_op
from harmoclip.ops.backends import SAYS_THAT_IT_EXPORTS

GRID = (3, 4)


def draw(regions=5, dtype=torch.float32, batch=2):
    generator = torch.Generator().manual_seed(regions)
    tokens = torch.randn(batch, 1 + GRID[0] * GRID[1], 3, generator=generator, dtype=dtype)
    boxes = torch.rand(regions, 2, 2, generator=generator).sort(1).values.flatten(1)
    return tokens, boxes, torch.randint(batch, (regions,), generator=generator)


def pool_all(tokens, boxes, index, masks):
    options = {"grid": GRID, "prefix": 1}
    spans = (boxes[:, 1::2] * 10).long()
    return torch.stack(
        [
            region_pool(tokens, boxes, index, **options),
            region_pool(tokens, boxes, index, bins=2, normalize_tokens=True, normalize=True, **options),
            mask_pool(tokens, masks, index, **options),
            span_pool(tokens, spans, index),
        ]
    )


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # opcheck looks at it
@pytest.mark.parametrize("regions", [0, 5])
def test_operators_pass_opcheck(regions):
    tokens, boxes, index = draw(regions)
    tokens.requires_grad_()
    weights, ones = torch.rand(regions, 1, 12, requires_grad=True), torch.ones(regions, 1, 1)
    rows, cols = torch.rand(regions, 2, GRID[0]), torch.rand(regions, 2, GRID[1])
    grad = torch.randn(regions, 2, 2, 3, requires_grad=True)
    vector, bins = (
        torch.randn(regions, 3, requires_grad=True),
        torch.randn(regions, 1, 1, 3, requires_grad=True),
    )
    torch.library.opcheck(pool_op, (tokens, rows, cols, index, 1, "cpu"))
    torch.library.opcheck(pool_op, (tokens, weights, ones, index, 1, "cpu"))
    torch.library.opcheck(spread_op, (grad, rows, cols, index, 2, 13, 1, "cpu"))
    torch.library.opcheck(spread_op, (bins, weights, ones, index, 2, 13, 1, "cpu"))
    torch.library.opcheck(correlate_op, (tokens, vector, index, 1, "cpu"))
    torch.library.opcheck(roi_factors_op, (boxes * 4, [*GRID, 2, 3], 1.0, -1, True, "cpu"))


def test_masks_have_gradients_of_first_and_second_order():
    tokens, _, index = draw(2, torch.float64)
    tokens, masks = tokens[..., :2].clone().requires_grad_(), torch.rand(2, *GRID, dtype=torch.float64) + 0.1

    def function(tokens, masks):
        return mask_pool(tokens, masks, index, grid=GRID, prefix=1)

    assert torch.autograd.gradcheck(function, (tokens, masks.requires_grad_()))
    assert torch.autograd.gradgradcheck(function, (tokens, masks))


def test_compiles_whole_and_once_whatever_the_number_of_boxes():
    compiled = torch.compile(pool_all, fullgraph=True, dynamic=True, backend="aot_eager")
    before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    for regions in (5, 9, 3, 17):
        tokens, boxes, index = draw(regions)
        leaves = tokens.requires_grad_(), torch.rand(regions, *GRID, requires_grad=True)
        results = []
        for function in (compiled, pool_all):
            out = function(leaves[0], boxes, index, leaves[1])
            results.append((out, *torch.autograd.grad(out.square().sum(), leaves)))
        torch.testing.assert_close(*results)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == before + 1


def test_roi_align_compiles_whole():
    _, boxes, index = draw()
    maps = torch.randn(2, 3, 6, 7, requires_grad=True)
    rois = torch.cat([index[:, None], boxes * 6], 1)
    compiled = torch.compile(roi_align, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(maps, rois, (2, 3)), roi_align(maps, rois, (2, 3)))


@pytest.mark.slow
def test_inductor_gives_the_values_of_eager():
    tokens, boxes, index = draw(dtype=torch.float64)
    tokens.requires_grad_()
    masks = torch.rand(5, *GRID, dtype=torch.float64)
    results = []
    for function in (pool_all, torch.compile(pool_all, fullgraph=True)):
        out = function(tokens, boxes, index, masks)
        results.append((out, *torch.autograd.grad(out.square().sum(), tokens)))
    torch.testing.assert_close(*results)


def test_vmap_over_any_argument():
    tokens, boxes, index = draw()
    many_tokens, many_boxes = (
        torch.stack([tokens, -2 * tokens, tokens + 1]),
        torch.stack([boxes, boxes / 2, boxes]),
    )
    many_index = torch.stack([index, 1 - index, index])

    def function(tokens, boxes, index):
        return region_pool(tokens, boxes, index, grid=GRID, prefix=1, normalize_tokens=True)

    arguments = (many_tokens, many_boxes, many_index)
    expected = torch.stack([function(*one) for one in zip(*arguments, strict=True)])
    torch.testing.assert_close(torch.vmap(function)(*arguments), expected)
    expected = torch.stack([function(one, boxes, index) for one in many_tokens])
    torch.testing.assert_close(torch.vmap(function, (0, None, None))(many_tokens, boxes, index), expected)


def test_functional_gradients_of_the_reference():
    tokens, boxes, index = draw()

    def loss(tokens):
        return region_pool(tokens, boxes, index, grid=GRID, prefix=1, backend="reference").square().sum()

    many = torch.stack([tokens, tokens * 3])
    expected = torch.stack([torch.func.grad(loss)(one) for one in many])
    torch.testing.assert_close(torch.vmap(torch.func.grad(loss))(many), expected)


needs_export_flag = pytest.mark.skipif(
    not SAYS_THAT_IT_EXPORTS, reason="torch 2.6 does not say that it exports"
)


class Pooler(torch.nn.Module):
    def forward(self, tokens, boxes, index):
        return region_pool(tokens, boxes, index, grid=GRID, prefix=1, bins=2, normalize=True, backend="cpu")


@needs_export_flag
def test_exports_without_operators_of_ours():
    tokens, boxes, index = draw()
    count = torch.export.Dim("regions", min=2, max=100)
    shapes = {"tokens": None, "boxes": {0: count}, "index": {0: count}}
    program = torch.export.export(Pooler(), (tokens, boxes, index), dynamic_shapes=shapes)
    assert not any("harmoclip" in str(node.target) for node in program.graph.nodes)
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    buffer.seek(0)
    tokens, boxes, index = draw(8)
    torch.testing.assert_close(
        torch.export.load(buffer).module()(tokens, boxes, index), Pooler()(tokens, boxes, index)
    )


@needs_export_flag
@pytest.mark.filterwarnings("ignore")  # the exporter's own
def test_exports_to_onnx(tmp_path):
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    tokens, boxes, index = draw()
    count = torch.export.Dim("regions", min=2, max=100)
    shapes = {"tokens": None, "boxes": {0: count}, "index": {0: count}}
    path = str(tmp_path / "pooler.onnx")
    torch.onnx.export(
        Pooler(), (tokens, boxes, index), path, dynamo=True, dynamic_shapes=shapes, verbose=False
    )
    session = runtime.InferenceSession(path)
    tokens, boxes, index = draw(8)
    names = [value.name for value in session.get_inputs()]
    (out,) = session.run(None, dict(zip(names, (tokens.numpy(), boxes.numpy(), index.numpy()), strict=True)))
    torch.testing.assert_close(torch.from_numpy(out), Pooler()(tokens, boxes, index))


def test_autocast_takes_nothing_from_the_weights():
    tokens, boxes, index = draw()
    expected = region_pool(tokens, boxes, index, grid=GRID, prefix=1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = region_pool(tokens, boxes, index, grid=GRID, prefix=1)
        low = region_pool(tokens.bfloat16(), boxes, index, grid=GRID, prefix=1)
    torch.testing.assert_close(out, expected, rtol=0, atol=0)
    assert low.dtype == torch.bfloat16


def test_deterministic_mode_changes_nothing():
    tokens, boxes, index = draw(40)
    results = []
    for mode in (False, True):
        torch.use_deterministic_algorithms(mode)
        leaf = tokens.clone().requires_grad_()
        out = region_pool(leaf, boxes, index, grid=GRID, prefix=1)
        results.append((out, *torch.autograd.grad(out.square().sum(), leaf)))
    torch.use_deterministic_algorithms(False)
    torch.testing.assert_close(*results, rtol=0, atol=0)
