"""The pooling products box by box: two small products over the rows and columns that a box reaches."""

from collections.abc import Iterator

import torch
from torch import Tensor


def pool(tokens: Tensor, rows: Tensor, cols: Tensor, index: Tensor, prefix: int) -> Tensor:
    """As `separable.pool`."""
    cells = tokens[:, prefix:].unflatten(1, (rows.shape[2], cols.shape[2]))
    out = rows.new_zeros(len(rows), rows.shape[1], cols.shape[1], tokens.shape[-1])
    for region, image, high, wide in _reach(rows, cols, index):
        box = cells[image, high, wide].to(rows.dtype)
        down = rows[region, :, high] @ box.flatten(1)
        torch.matmul(cols[region, :, wide], down.unflatten(1, box.shape[1:]), out=out[region])
    return out.to(tokens.dtype)


def spread(
    grad: Tensor, rows: Tensor, cols: Tensor, index: Tensor, batch: int, length: int, prefix: int
) -> Tensor:
    """As `separable.spread`."""
    grads = grad.to(rows.dtype)
    out = grads.new_zeros(batch, length, grad.shape[-1])
    cells = out[:, prefix:].unflatten(1, (rows.shape[2], cols.shape[2]))
    for region, image, high, wide in _reach(rows, cols, index):
        across = cols[region, :, wide].T @ grads[region]  # [P, w, C]
        cells[image, high, wide] += (rows[region, :, high].T @ across.flatten(1)).unflatten(
            1, across.shape[1:]
        )
    return out.to(grad.dtype)


def _reach(rows: Tensor, cols: Tensor, index: Tensor) -> Iterator[tuple[int, int, slice, slice]]:
    """Region, image, row range and column range of each region that reaches a cell."""
    ranges = torch.cat([index[:, None], *_range(rows), *_range(cols)], 1).tolist()
    for region, (image, top, bottom, left, right) in enumerate(ranges):
        if top < bottom and left < right:
            yield region, image, slice(top, bottom), slice(left, right)


def _range(weights: Tensor) -> tuple[Tensor, Tensor]:
    """First cell with weight and one past the last, `[R, 1]` each; equal where no cell has any."""
    size = weights.shape[2]
    used = (weights != 0).any(1) * torch.arange(1, size + 1, device=weights.device)  # [R, size]
    first = torch.where(used > 0, used, size + 1).amin(1, keepdim=True) - 1
    last = used.amax(1, keepdim=True)
    return first, last


def pays(rows: Tensor, cols: Tensor, cells: int, box_cost: float, cell_cost: float) -> bool:
    """Whether going box by box beats the product with all `cells` of the batch.

    The costs of a box and of a cell under it are in units of a cell of that product, measured by
    `benchmarks/region_pool.py --threshold`. Several bins a box always pay.
    """
    if rows.shape[1] * cols.shape[1] > 1:
        return True
    boxes = len(rows) * box_cost
    if boxes >= cells:
        return False
    under = (rows != 0).sum(2) * (cols != 0).sum(2)
    return boxes + float(under.sum()) * cell_cost < cells
