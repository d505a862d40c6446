"""The pooling products on any device and dtype: batched matrix products, without a copy of the features."""

from collections.abc import Iterator

import torch
from torch import Tensor

from harmoclip.errors import InputError
from harmoclip.ops import bagwise, boxwise
from harmoclip.ops.weights import compute_dtype

# of a box, and of a cell under it
POOL_COSTS = 50, 0.25
SPREAD_COSTS = 80, 0.5


def pool(tokens: Tensor, rows: Tensor, cols: Tensor, index: Tensor, prefix: int) -> Tensor:
    """`out[r, p, q] = sum_hw rows[r, p, h] cols[r, q, w] tokens[index[r], prefix + h W + w]`.

    Shapes: `[B, N, C]`, `[R, P, H]`, `[R, Q, W]`, `[R]` to `[R, P, Q, C]`.
    """
    _check(rows, cols, index, len(tokens))
    if bagwise.pays(tokens, rows, cols):
        return bagwise.pool(tokens, rows, cols, index, prefix)
    if boxwise.pays(rows, cols, tokens[..., 0].numel(), *POOL_COSTS):
        return boxwise.pool(tokens, rows, cols, index, prefix)
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
    if boxwise.pays(rows, cols, batch * length, *SPREAD_COSTS):
        return boxwise.spread(grad, rows, cols, index, batch, length, prefix)
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


def _check(rows: Tensor, cols: Tensor, index: Tensor, batch: int) -> None:
    if not (rows.sum() + cols.sum()).isfinite():
        finite = rows.flatten(1).isfinite().all(1) & cols.flatten(1).isfinite().all(1)
        raise InputError(f"region {int(finite.int().argmin())} is not finite; drop it or repair it.")
    if len(index) and not 0 <= int(index.min()) <= int(index.max()) < batch:
        raise InputError(
            f"the image of a region must lie in [0, {batch}), the batch given; "
            f"the indices run from {int(index.min())} to {int(index.max())}."
        )
