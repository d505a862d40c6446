"""The pooling products on any device and dtype, by whichever way costs least for the boxes given.

Three ways: one product with all cells, bags of the cells that have weight, and, for a few RoIAligned boxes of
maps in `[B, C, H, W]`, torchvision's own kernel.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from harmoclip.errors import InputError
from harmoclip.ops import _weights
from harmoclip.ops._weights import compute_dtype
from harmoclip.ops.backends import bags
from harmoclip.ops.backends.threads import one_thread

# Costs are measured by `benchmarks/region_pool.py --threshold`.
# of a weighted cell, what a cell of the batch costs in the product with all cells, and a box over every cell
POOL_COSTS = 1.5, 0.3
SPREAD_COSTS = 7.0, 0.06
# of a sample and channel in torchvision's kernel, what a call costs as bags, and a value of the map
BAGS_CALL, BAGS_VALUE = 650_000, 0.1


def pool(tokens: Tensor, rows: Tensor, cols: Tensor, index: Tensor, prefix: int) -> Tensor:
    """`out[r, p, q] = sum_hw rows[r, p, h] cols[r, q, w] tokens[index[r], prefix + h W + w]`.

    Shapes: `[B, N, C]`, `[R, P, H]`, `[R, Q, W]`, `[R]` to `[R, P, Q, C]`.
    """
    _check((rows, cols), index, len(tokens))
    as_rows = bags.are_rows(tokens) and tokens.dtype == rows.dtype
    if _bags_pay(rows, cols, len(tokens), *POOL_COSTS, as_rows=as_rows):
        return bags.pool(tokens, rows, cols, index, prefix)
    groups = _Groups(index, len(tokens))
    features = tokens[:, prefix:].to(rows.dtype)
    out = groups.unpad(_outer(groups.pad(rows), groups.pad(cols)) @ features)
    for image, crowd in groups.crowds():
        out[crowd] = _outer(rows[crowd], cols[crowd]) @ features[image]
    return out[:, None, None].to(tokens.dtype)


def spread(
    grad: Tensor, rows: Tensor, cols: Tensor, index: Tensor, batch: int, length: int, prefix: int
) -> Tensor:
    """The adjoint of `pool` in its tokens: `[batch, length, C]`, zero where no region reaches."""
    if _bags_pay(rows, cols, batch, *SPREAD_COSTS):
        return bags.spread(grad, rows, cols, index, batch, length, prefix)
    groups = _Groups(index, batch)
    grads = grad[:, 0, 0].to(rows.dtype)
    # the prefix has weights of zero here: one product fills the whole gradient
    weights = _outer(groups.pad(rows), groups.pad(cols), prefix)
    out = weights.transpose(1, 2) @ groups.pad(grads)
    for image, crowd in groups.crowds():
        out[image].addmm_(_outer(rows[crowd], cols[crowd], prefix).T, grads[crowd])
    return out.to(grad.dtype)


def correlate(tokens: Tensor, grad: Tensor, index: Tensor, prefix: int) -> Tensor:
    """The adjoint of `pool` in weights: `out[r, s] = sum_c tokens[index[r], prefix + s, c] grad[r, c]`."""
    groups = _Groups(index, len(tokens))
    grads = grad.to(compute_dtype(tokens.dtype))
    features = tokens[:, prefix:].to(grads.dtype).transpose(1, 2)
    out = groups.unpad(groups.pad(grads) @ features)
    for image, crowd in groups.crowds():
        out[crowd] = grads[crowd] @ features[image]
    return out


def roi_factors(
    corners: Tensor, sizes: list[int], spatial_scale: float, sampling_ratio: int, aligned: bool
) -> tuple[Tensor, Tensor]:
    """As `_weights.roi_factors`."""
    with one_thread():
        return _weights.roi_factors(corners, sizes, spatial_scale, sampling_ratio, aligned)


def roi_align(
    features: Tensor,
    corners: Tensor,
    index: Tensor,
    bins: list[int],
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
) -> Tensor:
    """`[B, C, H, W]`, boxes `[K, 4]` and their images `[K]` to `[K, C, *bins]`."""
    _check((corners,), index, len(features))
    if _kernel_pays(features, corners, bins, spatial_scale, sampling_ratio, aligned):
        import torchvision  # noqa: F401  registers the kernel; heavy, and not always needed

        rois = torch.cat([index[:, None].to(corners), corners], 1)
        kernel = torch.ops.torchvision.roi_align
        out = kernel(features.to(rois.dtype), rois, spatial_scale, *bins, sampling_ratio, aligned)
        return out.to(features.dtype)
    sizes = [*features.shape[2:], *bins]
    rows, cols = roi_factors(corners, sizes, spatial_scale, sampling_ratio, aligned)
    return bags.align(features, rows, cols, index)


def _kernel_pays(
    features: Tensor,
    corners: Tensor,
    bins: list[int],
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
) -> bool:
    """Whether torchvision's kernel, which reads every sample of every channel, costs less than bags."""
    if features.device.type != "cpu":
        return False
    if sampling_ratio > 0:
        samples = float(sampling_ratio**2 * len(corners))
    else:
        extents = (corners[:, 2:] - corners[:, :2]) * spatial_scale  # [K, 2], wide and high
        if aligned and (extents < 0).any():  # where the kernel fails
            return False
        extents = extents if aligned else extents.clamp(min=1)
        samples = float((extents / extents.new_tensor([bins[1], bins[0]])).ceil().prod(1).sum())
    channels = features.shape[1]
    values = 0 if features.is_contiguous(memory_format=torch.channels_last) else features.numel()
    return samples * bins[0] * bins[1] * channels < BAGS_CALL + BAGS_VALUE * values


def _bags_pay(
    rows: Tensor, cols: Tensor, batch: int, per_cell: float, per_box: float, *, as_rows: bool = True
) -> bool:
    """Whether bags cost less than the product with every cell of the batch; several bins a box always do.

    `as_rows` says that no copy is needed to read the cells one by one.
    """
    if not len(rows) or rows.shape[1] * cols.shape[1] > 1:
        return True
    cells = rows.shape[2] * cols.shape[2]
    entries = float(bags.entry_count(rows, cols).sum())
    return as_rows and entries < (per_cell * batch + per_box * len(rows)) * cells


class _Groups:
    """Regions by image: the first `share` of each go into one batched product, crowds beyond on their own.

    `share` is at most twice the mean, so padding at most doubles the work, however uneven the images are.
    """

    def __init__(self, index: Tensor, batch: int) -> None:
        self.whole = _equal_shares(index, batch)
        if self.whole:
            self.shape = (batch, len(index) // batch)
            return
        counts = torch.bincount(index, minlength=batch)
        self.counts = counts.tolist()
        self.shape = (batch, min(max(self.counts), 2 * -(-len(index) // batch)))
        self.order = index.argsort(stable=True)
        rank = torch.arange(len(index), device=index.device)
        slot = torch.empty_like(index).index_copy_(0, self.order, rank)  # place among the sorted regions
        slot -= (counts.cumsum(0) - counts)[index]  # and in the own image
        self.first = (slot < self.shape[1]).nonzero()[:, 0]
        self.place = (index * self.shape[1] + slot)[self.first]

    def pad(self, values: Tensor) -> Tensor:
        """`[R, ...]` to `[B, share, ...]`, zero where an image has fewer regions."""
        if self.whole:
            return values.unflatten(0, self.shape)
        out = values.new_zeros(self.shape[0] * self.shape[1], *values.shape[1:])
        return out.index_copy_(0, self.place, values[self.first]).unflatten(0, self.shape)

    def unpad(self, padded: Tensor) -> Tensor:
        """`[B, share, C]` to `[R, C]`, the rows of the crowds left to be written."""
        if self.whole:
            return padded.flatten(0, 1)
        rows = padded.flatten(0, 1).index_select(0, self.place)
        if len(self.first) == len(self.order):
            return rows
        return rows.new_empty(len(self.order), rows.shape[1]).index_copy_(0, self.first, rows)

    def crowds(self) -> Iterator[tuple[int, Tensor]]:
        """Each image with more than `share` regions, and the regions beyond."""
        end = 0
        for image, count in enumerate([] if self.whole else self.counts):
            end += count
            if count > self.shape[1]:
                yield image, self.order[end - count + self.shape[1] : end]


def _equal_shares(index: Tensor, batch: int) -> bool:
    """Whether the regions are sorted by image and every image has as many: then nothing has to move."""
    if not len(index) or len(index) % batch:
        return False
    images = torch.arange(batch, device=index.device)
    return bool((index.unflatten(0, (batch, -1)) == images[:, None]).all())


def _outer(rows: Tensor, cols: Tensor, prefix: int = 0) -> Tensor:
    """`[..., 1, H]` and `[..., 1, W]` to `[..., prefix + H W]`, zero on the prefix."""
    height, width = rows.shape[-1], cols.shape[-1]
    out = rows.new_empty(*rows.shape[:-2], prefix + height * width)
    out[..., :prefix] = 0
    torch.mul(rows.transpose(-2, -1), cols, out=out[..., prefix:].unflatten(-1, (height, width)))
    return out


def _check(of_regions: tuple[Tensor, ...], index: Tensor, batch: int) -> None:
    """Raise where numbers of a region are not finite, or its image is not in the batch."""
    if not all(math.isfinite(values.sum().item()) for values in of_regions):
        finite = torch.stack([values.flatten(1).isfinite().all(1) for values in of_regions]).all(0)
        raise InputError(
            f"region {int(finite.int().argmin())} is impossible: a number is not finite, a box is not in "
            "[0, 1] of its image (divide pixels by its width and height) or has swapped corners, or a span "
            "leaves its text."
        )
    if not len(index):
        return
    low, high = (int(end) for end in index.aminmax())
    if low < 0 or high >= batch:
        raise InputError(
            f"the image or text of a region must lie in [0, {batch}), the batch given; "
            f"the indices run from {low} to {high}."
        )
