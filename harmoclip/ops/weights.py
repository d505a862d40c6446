"""How much each grid cell counts in a box: RoIAlign's bilinear samples, summed along each axis.

A bilinear weight is a product of one row weight and one column weight, and RoIAlign's samples form a
regular grid. So the average over them is `sum_h sum_w rows[h] * cols[w] * features[h, w]`, and a box needs
only two short vectors (Mask R-CNN, arXiv 1703.06870, section 3, written as a matrix product).
"""

import math

import torch
from torch import Tensor

from harmoclip.errors import InputError

Grid = tuple[int, int]


def compute_dtype(dtype: torch.dtype) -> torch.dtype:
    """float64 for float64, float32 for everything else: weights never take a model's low precision."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def to_cells(coordinates: Tensor, scale: float, aligned: bool = True) -> Tensor:
    """Edges to cells: with `aligned`, the centre of cell i, at i + 0.5, becomes i (half-pixel rule)."""
    return coordinates * scale - (0.5 if aligned else 0.0)


def axis_weights(
    start: Tensor, extent: Tensor, size: int, bins: int, sampling_ratio: int, window: int
) -> Tensor:
    """Weights of the cells of one axis in each bin of each box.

    Sample i of bin b lies at `start + b * step + (i + 0.5) * step / count`, `step = extent / bins`, and is
    shared between its two neighbours by distance. Samples beyond [-1, size] count as zero.

    Args:
        start: `[R]` first edges in cell coordinates.
        extent: `[R]` lengths in cells.
        size: Cells of the axis.
        bins: Bins of a box along the axis.
        sampling_ratio: Samples a bin; `ceil(extent / bins)` if not positive.
        window: Samples of a bin that are looked at, counted from the first that can lie on the axis.

    Returns:
        `[R, bins, size]`; the rows of a bin whose samples all lie on the axis sum to 1.
    """
    step = (extent / bins)[:, None, None]
    count = torch.full_like(step, sampling_ratio) if sampling_ratio > 0 else step.ceil()
    edge = (
        start[:, None, None] + torch.arange(bins, device=start.device).to(start)[:, None] * step
    )  # [R, bins, 1]
    divisor = torch.where(count > 0, count, 1)
    sample = torch.arange(window, device=start.device).to(start)
    if sampling_ratio <= 0:
        skipped = ((-1 - edge) / step * count).floor() - 2
        sample = sample + torch.where(skipped > 0, skipped, 0)  # [R, bins, window]
    position = edge + (sample + 0.5) * step / divisor
    unused = (sample >= count) | (position < -1) | (position > size)
    cells = torch.arange(size, device=start.device).to(start)
    distance = (position.clamp(0, size - 1)[..., None] - cells).abs()
    hat = (1 - distance).clamp(min=0).masked_fill(unused[..., None], 0)
    return hat.sum(2) / divisor


def region_factors(boxes: Tensor, grid: Grid, bins: Grid, sampling_ratio: int) -> tuple[Tensor, Tensor]:
    """Row weights `[R, H]` and column weights `[R, W]` of normalised boxes; their outer product sums to 1."""
    x1, y1, x2, y2 = boxes.clamp(0, 1).unbind(1)
    return _factor(y1, y2, grid[0], bins[0], sampling_ratio), _factor(
        x1, x2, grid[1], bins[1], sampling_ratio
    )


def _factor(low: Tensor, high: Tensor, size: int, bins: int, sampling_ratio: int) -> Tensor:
    start, end = to_cells(low, size), to_cells(high, size)
    window = sampling_ratio if sampling_ratio > 0 else math.ceil(size / bins)
    return axis_weights(start, end - start, size, bins, sampling_ratio, window).mean(1)


def roi_factors(
    corners: Tensor, sizes: list[int], spatial_scale: float, sampling_ratio: int, aligned: bool
) -> tuple[Tensor, Tensor]:
    """Row weights `[K, P, H]` and column weights `[K, Q, W]` of boxes `[K, 4]`; `sizes` is H, W, P, Q."""
    x1, y1, x2, y2 = to_cells(corners, spatial_scale, aligned).unbind(1)
    factors = []
    for start, end, size, bins in ((y1, y2, sizes[0], sizes[2]), (x1, x2, sizes[1], sizes[3])):
        extent = end - start if aligned else (end - start).clamp(min=1)
        window = sampling_ratio if sampling_ratio > 0 else _widest(extent / bins, size)
        factors.append(axis_weights(start, extent, size, bins, sampling_ratio, window))
    return factors[0], factors[1]


def _widest(step: Tensor, size: int) -> int:
    """How many samples of any bin of length `step` can lie on the axis."""
    bound = 2 * size + 8  # they are at least half a cell apart where a bin has several
    if torch.compiler.is_compiling() or not len(step):
        return bound
    return min(bound, max(1, int(step.max().ceil().nan_to_num(0, bound))))


def region_weights(boxes: Tensor, grid: Grid, *, bins: int | Grid = 1, sampling_ratio: int = -1) -> Tensor:
    """The share of every grid cell in every box; `region_pool` is the product of these with the features.

    Args:
        boxes: `[R, 4]` xyxy, in [0, 1] of the image; what lies outside is cut off.
        grid: Rows and columns of the feature grid.
        bins: Bins of a box (one number, or rows and columns) that are sampled alike and then averaged.
        sampling_ratio: Samples a bin and axis; if not positive, one a cell begun (`ceil(cells / bins)`).

    Returns:
        `[R, H, W]` float32 (float64 for float64 boxes), not negative; a box sums to 1, one without area to 0.

    Raises:
        InputError: `boxes` is not `[R, 4]`.

    Example:
        >>> region_weights(torch.tensor([[0.0, 0.0, 0.5, 1.0]]), (1, 4))
        tensor([[[0.5000, 0.5000, 0.0000, 0.0000]]])
    """
    check_boxes(boxes)
    rows, cols = region_factors(
        boxes.detach().to(compute_dtype(boxes.dtype)), grid, pair(bins), sampling_ratio
    )
    return rows[:, :, None] * cols[:, None, :]


def pair(value: int | Grid) -> Grid:
    """One number for both axes, or the two as they are."""
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def check_boxes(boxes: Tensor) -> None:
    """Raise an `InputError` unless `boxes` is `[R, 4]`."""
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise InputError(f"boxes must be [R, 4] (x1, y1, x2, y2), got {tuple(boxes.shape)}.")
