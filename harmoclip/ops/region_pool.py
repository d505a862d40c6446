"""Boxes to vectors, straight from the token layout of a vision tower."""

import torch
import torch.nn.functional as F
from torch import Tensor

from harmoclip.ops import backends
from harmoclip.ops._layout import checked_index, token_layout
from harmoclip.ops._pooling import pool, roi_factors_op
from harmoclip.ops._weights import Grid, check_boxes, compute_dtype, impossible_as_nan, pair, region_factors
from harmoclip.ops.mask_pool import mask_product


def region_pool(
    tokens: Tensor,
    boxes: Tensor,
    image_index: Tensor,
    *,
    grid: Grid | None = None,
    prefix: int = 0,
    layout: str = "tokens",
    bins: int | Grid = 1,
    sampling_ratio: int = -1,
    normalize_tokens: bool = False,
    normalize: bool = False,
    backend: str = "auto",
) -> Tensor:
    """Average the features under each box: RoIAlign with aligned corners, then the mean over its bins.

    `out[r] = sum_h sum_w rows[r, h] cols[r, w] tokens[image_index[r], prefix + h W + w]`, with the weights of
    Mask R-CNN's RoIAlign (arXiv 1703.06870). Differentiable in the tokens to any order, deterministic,
    computed in float32 (float64 for float64 tokens) and returned in the dtype of the tokens.

    Args:
        tokens: `[B, N, C]` with N = prefix + H * W, or by `layout` `[B, H, W, C]` or `[B, C, H, W]`.
        boxes: `[R, 4]` xyxy, in [0, 1] of the image, in any order; rounding up to 1e-4 beyond the edge is cut
            off. A box without area gives zeros.
        image_index: `[R]` integers, the image of each box.
        grid: (H, W) of the tokens; taken from the shape where `layout` is not "tokens".
        prefix: Tokens before the grid (class and register tokens), which are skipped.
        layout: "tokens", "nhwc" or "nchw".
        bins: Bins of a box that are sampled alike and then averaged; one number, or rows and columns.
        sampling_ratio: Samples a bin and axis; if not positive, one a cell begun (`ceil(cells / bins)`).
        normalize_tokens: Give every token unit length before pooling (without a copy of the tokens).
        normalize: Give every result unit length.
        backend: "auto", "reference", "cpu" or "triton"; see `available_backends`.

    Returns:
        `[R, C]` in the dtype of the tokens; `[0, C]`, still connected to the graph, without boxes.

    Raises:
        InputError: A shape, type or name is wrong, an image index is out of range, or a box is impossible:
            not finite, outside the image, or with swapped corners (on CUDA the last two give NaN in their
            rows, since a check would have to wait for the device).

    Example:
        >>> tokens = torch.arange(5.0).reshape(1, 5, 1)  # a class token and a 2 x 2 grid
        >>> lower_half, image = torch.tensor([[0.0, 0.5, 1.0, 1.0]]), torch.tensor([0])
        >>> region_pool(tokens, lower_half, image, grid=(2, 2), prefix=1)
        tensor([[3.5000]])
    """
    tokens, grid = token_layout(tokens, grid, prefix, layout)
    check_boxes(boxes)
    image_index = checked_index("image_index", image_index, boxes.shape[:1])
    backend = backends.choose(backend, tokens)
    rows, cols = _factors(
        boxes.detach().to(compute_dtype(tokens.dtype)), grid, pair(bins), sampling_ratio, backend
    )
    if normalize_tokens:
        weights = (rows[:, :, None] * cols[:, None, :]).flatten(1)
        out = mask_product(tokens, weights, image_index, prefix, True, backend)
    else:
        out = pool(tokens, rows[:, None], cols[:, None], image_index, prefix, backend)[:, 0, 0]
    return F.normalize(out, dim=-1) if normalize else out


def _factors(
    boxes: Tensor, grid: Grid, bins: Grid, sampling_ratio: int, backend: str
) -> tuple[Tensor, Tensor]:
    if backend != "triton":
        return region_factors(boxes, grid, bins, sampling_ratio)
    x1, y1, x2, y2 = impossible_as_nan(boxes).unbind(1)
    corners = torch.stack([x1 * grid[1], y1 * grid[0], x2 * grid[1], y2 * grid[0]], 1)
    rows, cols = roi_factors_op(corners, [*grid, *bins], 1.0, sampling_ratio, True, backend)
    return rows.mean(1), cols.mean(1)
