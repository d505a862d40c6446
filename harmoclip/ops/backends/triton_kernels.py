"""The pooling products on CUDA, in Triton: memory-bound, deterministic, without atomics.

Forward, one program a bin and block of channels reads the cells that the bin reaches. Backward, one program
a tile of cells and block of channels gathers from the regions of its image, so every value is written once.
Sums are float32 (float64 for float64 weights), addresses int64.
"""

# what triton compiles has no static types
# mypy: disable-error-code="no-untyped-def"

import triton
import triton.language as tl


@triton.jit
def _reach(weights, size, BLOCK: tl.constexpr):
    """First index with weight and one past the last; NaN counts as weight."""
    low, high = size, 0
    for start in range(0, size, BLOCK):
        i = start + tl.arange(0, BLOCK)
        used = tl.load(weights + i, mask=i < size, other=0) != 0
        low = tl.minimum(low, tl.min(tl.where(used, i, size)))
        high = tl.maximum(high, tl.max(tl.where(used, i + 1, 0)))
    return low, high


@triton.jit
def pool_kernel(
    tokens, rows, cols, index, out,
    stride_b, stride_n, stride_c, batch, channels, height, width, prefix, P, Q,
    CELLS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """`out[r, p, q, c]`, one program a bin and block of channels."""
    bin_id = tl.program_id(0).to(tl.int64)
    row = rows + bin_id // Q * height
    col = cols + (bin_id // (P * Q) * Q + bin_id % Q) * width
    top, bottom = _reach(row, height, CHANNELS)
    left, right = _reach(col, width, CHANNELS)
    image = tl.load(index + bin_id // (P * Q))
    known = (image >= 0) & (image < batch)
    across = tl.maximum(right - left, 1)
    count = tl.where(known & (right > left), (bottom - top) * across, 0)
    c = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    here = tokens + image * stride_b + c[None, :].to(tl.int64) * stride_c
    total = tl.zeros((CELLS, CHANNELS), rows.dtype.element_ty)
    for start in range(0, count, CELLS):
        k = start + tl.arange(0, CELLS)
        h, w = top + k // across, left + k % across
        weight = tl.load(row + h, mask=k < count, other=0) * tl.load(col + w, mask=k < count, other=0)
        cell = (prefix + h * width + w).to(tl.int64)
        inside = (k < count)[:, None] & (c < channels)[None, :]
        feature = tl.load(here + cell[:, None] * stride_n, mask=inside, other=0)
        total += weight[:, None] * feature.to(total.dtype)
    result = tl.where(known, tl.sum(total, 0), float("nan"))
    tl.store(out + bin_id * channels + c, result.to(out.dtype.element_ty), mask=c < channels)


@triton.jit
def spread_kernel(
    grad, rows, cols, order, offsets, out,
    length, channels, height, width, prefix, P, Q,
    CELLS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """`out[b, n, c]`, one program a tile of tokens and block of channels, those of b from `offsets[b]` on."""
    tiles = tl.cdiv(length, CELLS)
    image = tl.program_id(0).to(tl.int64) // tiles
    n = tl.program_id(0) % tiles * CELLS + tl.arange(0, CELLS)
    c = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    cell = n - prefix
    on_grid = (cell >= 0) & (n < length)
    h, w = cell // width, cell % width
    total = tl.zeros((CELLS, CHANNELS), rows.dtype.element_ty)
    for place in range(tl.load(offsets + image), tl.load(offsets + image + 1)):
        region = tl.load(order + place)
        for p in range(P):
            down = tl.load(rows + (region * P + p) * height + h, mask=on_grid, other=0)
            if tl.max((down != 0).to(tl.int32)) > 0:
                for q in range(Q):
                    weight = down * tl.load(cols + (region * Q + q) * width + w, mask=on_grid, other=0)
                    if tl.max((weight != 0).to(tl.int32)) > 0:
                        source = grad + ((region * P + p) * Q + q) * channels + c
                        value = tl.load(source, mask=c < channels, other=0).to(total.dtype)
                        total += weight[:, None] * value[None, :]
    target = out + (image * length + n)[:, None] * channels + c[None, :]
    tl.store(target, total.to(out.dtype.element_ty), mask=(n < length)[:, None] & (c < channels)[None, :])


@triton.jit
def correlate_kernel(
    tokens, grad, index, out,
    stride_b, stride_n, stride_c, batch, channels, cells, prefix,
    CELLS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """`out[r, s]`, one program a region and tile of cells."""
    region = tl.program_id(0).to(tl.int64)
    s = tl.program_id(1) * CELLS + tl.arange(0, CELLS)
    image = tl.load(index + region)
    known = (image >= 0) & (image < batch)
    there = tl.where(known, cells, 0)
    here = tokens + image * stride_b + (prefix + s[:, None]).to(tl.int64) * stride_n
    total = tl.zeros((CELLS, CHANNELS), out.dtype.element_ty)
    for start in range(0, channels, CHANNELS):
        c = start + tl.arange(0, CHANNELS)
        inside = (s < there)[:, None] & (c < channels)[None, :]
        feature = tl.load(here + c[None, :].to(tl.int64) * stride_c, mask=inside, other=0).to(total.dtype)
        value = tl.load(grad + region * channels + c, mask=c < channels, other=0).to(total.dtype)
        total += feature * value[None, :]
    result = tl.where(known, tl.sum(total, 1), float("nan"))
    tl.store(out + region * cells + s, result, mask=s < cells)


@triton.jit
def factor_kernel(
    starts, extents, out, size, bins, sampling_ratio,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """`out[k, bin, cell]` of `weights.axis_weights`, one program a bin and block of cells."""
    bin_id = tl.program_id(0).to(tl.int64)
    cell = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    start, extent = tl.load(starts + bin_id // bins), tl.load(extents + bin_id // bins)
    step = extent / bins
    edge = start + (bin_id % bins).to(step.dtype) * step
    broken = (start + extent) * 0  # zero, or NaN for a box that is not finite
    count, first, last = tl.ceil(step), step * 0, step * 0
    if sampling_ratio > 0:
        count = step * 0 + sampling_ratio
        last = count
    elif (step > 0) & (
        broken == 0
    ):  # only the samples that can lie on the axis, and two more on either side for rounding
        first = tl.maximum(tl.floor((-1 - edge) / step * count) - 2, 0)
        last = tl.minimum(tl.ceil((size - edge) / step * count) + 2, count)
    total = tl.zeros((BLOCK,), step.dtype) + broken
    first, last = tl.where(broken == 0, first, 0), tl.where(broken == 0, last, 0)
    for i in range(first.to(tl.int64), last.to(tl.int64)):
        position = edge + (i + 0.5) * step / count
        on_axis = (position >= -1) & (position <= size)
        nearest = tl.minimum(tl.maximum(position, 0), size - 1)
        hat = tl.maximum(1 - tl.abs(nearest - cell), 0)
        total += tl.where(on_axis, hat, 0)
    total = tl.where(count > 0, total / tl.maximum(count, 1), broken)
    tl.store(out + bin_id * size + cell, total.to(out.dtype.element_ty), mask=cell < size)
