"""The pooling product as weighted bags of token rows: it reads the cells that have weight, and no others."""

import torch
import torch.nn.functional as F
from torch import Tensor

# of a cell under a box: reads that cost as much as a cell of the batch, and as a box over every cell, in the
# product with all cells; measured by `benchmarks/region_pool.py --threshold`
PER_CELL, PER_BOX = 3.5, 0.23


def pool(tokens: Tensor, rows: Tensor, cols: Tensor, index: Tensor, prefix: int) -> Tensor:
    """As `separable.pool`, for one bin a region and tokens that `pays` accepts."""
    weights = (rows.transpose(1, 2) * cols).flatten()  # [R * H * W]
    cells = len(weights) // len(rows)
    used = weights.nonzero()[:, 0]
    region = used // cells
    batch, length = tokens.shape[:2]
    if tokens.is_contiguous():
        table, by_image, by_token = tokens, length, 1
    else:
        table, by_image, by_token = tokens.transpose(0, 1), 1, batch
    first = index * by_image + prefix * by_token
    row = first[region] + (used - region * cells) * by_token
    starts = torch.searchsorted(used, torch.arange(0, len(weights), cells, device=used.device))
    out = F.embedding_bag(row, table.flatten(0, 1), starts, mode="sum", per_sample_weights=weights.take(used))
    return out[:, None, None]


def pays(tokens: Tensor, rows: Tensor, cols: Tensor) -> bool:
    """Whether bags beat the product with every cell of the batch: float32 rows on the CPU, small boxes."""
    as_rows = tokens.is_contiguous() or tokens.transpose(0, 1).is_contiguous()
    if not (as_rows and tokens.dtype == torch.float32 and tokens.device.type == "cpu"):
        return False
    if not len(rows) or rows.shape[1] * cols.shape[1] > 1:
        return False
    under = float(((rows != 0).sum(2) * (cols != 0).sum(2)).sum())
    cells = rows.shape[2] * cols.shape[2]
    return under < PER_CELL * len(tokens) * cells + PER_BOX * len(rows) * cells
