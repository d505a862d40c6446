"""How much each grid cell counts in a box: RoIAlign's bilinear samples, summed along each axis.

A bilinear weight is a product of one row weight and one column weight, and RoIAlign's samples form a
regular grid. So the average over them is `sum_h sum_w rows[h] * cols[w] * features[h, w]`, and a box needs
only two short vectors (Mask R-CNN, arXiv 1703.06870, section 3, written as a matrix product).
"""

import torch
from torch import Tensor

from harmoclip.boxes import snap_to_edges
from harmoclip.errors import InputError
from harmoclip.ops.backends import exporting

Grid = tuple[int, int]


def compute_dtype(dtype: torch.dtype) -> torch.dtype:
    """float64 for float64, float32 for everything else: weights never take a model's low precision."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def to_cells(coordinates: Tensor, scale: float, aligned: bool = True) -> Tensor:
    """Edges to cells: with `aligned`, the centre of cell i, at i + 0.5, becomes i (half-pixel rule)."""
    return coordinates * scale - (0.5 if aligned else 0.0)


def axis_weights(start: Tensor, extent: Tensor, size: int, bins: int, sampling_ratio: int) -> Tensor:
    """Weights of the cells of one axis in each bin of each box.

    Sample i of bin b lies at `start + b * step + (i + 0.5) * step / count`, `step = extent / bins`, and is
    shared between its two neighbours by distance. Samples beyond [-1, size] count as zero.

    Args:
        start: `[R]` first edges in cell coordinates.
        extent: `[R]` lengths in cells.
        size: Cells of the axis.
        bins: Bins of a box along the axis.
        sampling_ratio: Samples a bin; `ceil(extent / bins)` if not positive.

    Returns:
        `[R, bins, size]`; the rows of a bin whose samples all lie on the axis sum to 1.
    """
    step = (extent / bins)[:, None, None]
    edge = start[:, None, None] + torch.arange(bins, device=start.device).to(start)[:, None] * step
    count = torch.full_like(step, sampling_ratio) if sampling_ratio > 0 else step.ceil().clamp(min=0)
    divisor = count.clamp(min=1)
    low, gap = torch.minimum(edge, edge + step), step.abs() / divisor  # [R, bins, 1] and [R, 1, 1]
    first = _passed(low, gap, count, -1.0, include=False)
    last = _passed(low, gap, count, size, include=True)
    return _hats(low, gap, first, last, size) / divisor


def region_factors(boxes: Tensor, grid: Grid, bins: Grid, sampling_ratio: int) -> tuple[Tensor, Tensor]:
    """Row weights `[R, H]` and column weights `[R, W]` of boxes in [0, 1]; their outer product sums to 1."""
    low, high = impossible_as_nan(boxes).unflatten(1, (2, 2)).flip(2).unbind(1)  # [R, 2], rows and columns
    if grid[0] == grid[1] and bins[0] == bins[1]:
        rows, cols = _factor(low, high, grid[0], bins[0], sampling_ratio).unbind(1)
        return rows, cols
    rows = _factor(low[:, 0], high[:, 0], grid[0], bins[0], sampling_ratio)
    return rows, _factor(low[:, 1], high[:, 1], grid[1], bins[1], sampling_ratio)


def _factor(low: Tensor, high: Tensor, size: int, bins: int, sampling_ratio: int) -> Tensor:
    """`[..., size]`, the mean of `axis_weights` over the bins, whose samples together are one regular row."""
    start, end = to_cells(low, size)[..., None], to_cells(high, size)[..., None]
    extent = end - start
    a_bin = torch.full_like(extent, sampling_ratio) if sampling_ratio > 0 else (extent / bins).ceil()
    count = a_bin * bins
    divisor = count.clamp(min=1)
    return _hats(start, extent / divisor, torch.zeros_like(count), count, size) / divisor


def _hats(low: Tensor, gap: Tensor, first: Tensor, last: Tensor, size: int) -> Tensor:
    """What each cell gets of the samples at `low + (i + 0.5) * gap`, `first <= i < last`: `[..., size]`.

    Between two cells lie samples that follow each other, so their number and their mean say all.
    """
    cells = torch.arange(size, device=low.device).to(low)
    gap = gap.clamp(min=torch.finfo(gap.dtype).tiny)
    below = ((cells - low) / gap + 0.5).floor().clamp(first, last)  # samples up to each cell
    between = below.diff(dim=-1)
    mean = low + gap * (below[..., 1:] + below[..., :-1]) / 2 - cells[:-1]
    right = between * mean
    out = torch.cat([below[..., :1] - first, right], -1)  # samples before the first cell are its own
    out[..., :-1] += between - right
    out[..., -1:] += last - below[..., -1:]
    return out


def _passed(low: Tensor, gap: Tensor, count: Tensor, edge: float, *, include: bool) -> Tensor:
    """How many samples lie before `edge`, or on it; exact, since the weight of a sample jumps there."""

    def before(i: Tensor) -> Tensor:
        position = low + (i + 0.5) * gap
        return position <= edge if include else position < edge

    guess = (
        ((edge - low) / gap.clamp(min=torch.finfo(gap.dtype).tiny))
        .round()
        .clamp(torch.zeros_like(count), count)
    )
    more = (guess < count) & before(guess)
    less = (guess > 0) & ~before(guess - 1)
    return guess + more.to(guess) - less.to(guess)


def roi_factors(
    corners: Tensor, sizes: list[int], spatial_scale: float, sampling_ratio: int, aligned: bool
) -> tuple[Tensor, Tensor]:
    """Row weights `[K, P, H]` and column weights `[K, Q, W]` of boxes `[K, 4]`; `sizes` is H, W, P, Q."""
    x1, y1, x2, y2 = to_cells(corners, spatial_scale, aligned).unbind(1)
    factors = []
    for start, end, size, bins in ((y1, y2, sizes[0], sizes[2]), (x1, x2, sizes[1], sizes[3])):
        extent = end - start if aligned else (end - start).clamp(min=1)
        factors.append(axis_weights(start, extent, size, bins, sampling_ratio))
    return factors[0], factors[1]


def region_weights(boxes: Tensor, grid: Grid, *, bins: int | Grid = 1, sampling_ratio: int = -1) -> Tensor:
    """The share of every grid cell in every box; `region_pool` is the product of these with the features.

    Args:
        boxes: `[R, 4]` xyxy, in [0, 1] of the image; the weights of an impossible box are NaN.
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
    """Raise an `InputError` unless `boxes` is a tensor `[R, 4]` of floating numbers."""
    if not isinstance(boxes, Tensor) or boxes.ndim != 2 or boxes.shape[1] != 4:
        given = tuple(boxes.shape) if isinstance(boxes, Tensor) else type(boxes).__name__
        raise InputError(f"boxes must be [R, 4] (x1, y1, x2, y2), got {given}.")
    if not boxes.is_floating_point():
        raise InputError(f"boxes are {boxes.dtype}: expected floating numbers in [0, 1] of the image.")


def impossible_as_nan(boxes: Tensor) -> Tensor:
    """Boxes `[R, 4]` moved onto the edge where rounding put them beyond; NaN where they cannot be.

    Impossible are boxes further outside [0, 1], such as boxes in pixels, and swapped corners. As NaN they
    need no look from the host: on the CPU the operator tells of them, on CUDA their rows become NaN.
    """
    boxes = snap_to_edges(boxes)
    inside = ((boxes >= 0) & (boxes <= 1)).all(1, keepdim=True)
    ordered = (boxes[:, :2] <= boxes[:, 2:]).all(1, keepdim=True)
    return torch.where(inside & ordered, boxes, nan_like(boxes))


def nan_like(values: Tensor) -> Tensor | float:
    """NaN; computed in a program, as torch before 2.9 cannot save one that holds the number."""
    return values.new_zeros(()) / 0 if exporting() else torch.nan
