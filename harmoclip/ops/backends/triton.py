"""The pooling products on CUDA: launches of the kernels, without waiting for the device."""

import torch
from torch import Tensor

from harmoclip.ops._weights import compute_dtype, to_cells
from harmoclip.ops.backends import triton_kernels as kernels

TILE = {"CELLS": 32, "CHANNELS": 128}
# positions of samples round as on the CPU, so that a sample on the edge of the map falls on the same side
OPTIONS = {"enable_fp_fusion": False}


def pool(tokens: Tensor, rows: Tensor, cols: Tensor, index: Tensor, prefix: int) -> Tensor:
    """As `cpu.pool`; a region of an image that is not there gets NaN."""
    (regions, p, height), (q, width) = rows.shape, cols.shape[1:]
    out = tokens.new_empty(regions, p, q, tokens.shape[2])
    if out.numel():
        kernels.pool_kernel[regions * p * q, _blocks(tokens.shape[2], "CHANNELS")](
            tokens, rows.contiguous(), cols.contiguous(), index.contiguous(), out,
            *tokens.stride(), len(tokens), tokens.shape[2], height, width, prefix, p, q, **TILE, **OPTIONS,
        )  # fmt: skip
    return out


def spread(
    grad: Tensor, rows: Tensor, cols: Tensor, index: Tensor, batch: int, length: int, prefix: int
) -> Tensor:
    """As `cpu.spread`; every value is gathered and written once, never added to."""
    (p, height), (q, width), channels = rows.shape[1:], cols.shape[1:], grad.shape[3]
    out = grad.new_empty(batch, length, channels)
    image, order = index.sort(stable=True)
    offsets = torch.searchsorted(image, torch.arange(batch + 1, device=index.device))
    if out.numel():
        kernels.spread_kernel[batch * _blocks(length, "CELLS"), _blocks(channels, "CHANNELS")](
            grad.contiguous(), rows.contiguous(), cols.contiguous(), order, offsets, out,
            length, channels, height, width, prefix, p, q, **TILE, **OPTIONS,
        )  # fmt: skip
    return out


def correlate(tokens: Tensor, grad: Tensor, index: Tensor, prefix: int) -> Tensor:
    """As `cpu.correlate`."""
    cells = tokens.shape[1] - prefix
    out = tokens.new_empty(len(grad), cells, dtype=compute_dtype(tokens.dtype))
    if out.numel():
        kernels.correlate_kernel[len(grad), _blocks(cells, "CELLS")](
            tokens, grad.contiguous(), index.contiguous(), out,
            *tokens.stride(), len(tokens), tokens.shape[2], cells, prefix, **TILE, **OPTIONS,
        )  # fmt: skip
    return out


def roi_align(
    features: Tensor,
    corners: Tensor,
    index: Tensor,
    bins: list[int],
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
) -> Tensor:
    """As `cpu.roi_align`."""
    sizes = [*features.shape[2:], *bins]
    rows, cols = roi_factors(corners, sizes, spatial_scale, sampling_ratio, aligned)
    tokens = features.permute(0, 2, 3, 1).flatten(1, 2)
    return pool(tokens, rows, cols, index, 0).permute(0, 3, 1, 2).contiguous()


def roi_factors(
    corners: Tensor, sizes: list[int], spatial_scale: float, sampling_ratio: int, aligned: bool
) -> tuple[Tensor, Tensor]:
    """As `_weights.roi_factors`, without a look at the boxes from the host."""
    cells = to_cells(corners, spatial_scale, aligned)
    extents = cells[:, 2:] - cells[:, :2]
    if not aligned:
        extents = extents.clamp(min=1)
    rows = _factors(cells[:, 1], extents[:, 1], sizes[0], sizes[2], sampling_ratio)
    return rows, _factors(cells[:, 0], extents[:, 0], sizes[1], sizes[3], sampling_ratio)


def _factors(start: Tensor, extent: Tensor, size: int, bins: int, sampling_ratio: int) -> Tensor:
    out = start.new_empty(len(start), bins, size)
    if out.numel():
        kernels.factor_kernel[len(start) * bins, _blocks(size, "CHANNELS")](
            start.contiguous(), extent.contiguous(), out, size, bins, max(sampling_ratio, 0),
            BLOCK=TILE["CHANNELS"], **OPTIONS,
        )  # fmt: skip
    return out


def _blocks(size: int, side: str) -> int:
    return -(-size // TILE[side])
