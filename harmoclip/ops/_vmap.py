"""How the operators of `_pooling` map over a further dimension: the mapped batches become one longer one."""

from typing import Any

import torch
from torch import Tensor

from harmoclip.ops._pooling import correlate_op, pool_op, roi_align_op, spread_op


def _joined(values: Tensor, dim: int | None, size: int) -> Tensor:
    """`[..., V, ...]` or unmapped `[...]` to `[V * n, ...]`."""
    values = values.expand(size, *values.shape) if dim is None else values.movedim(dim, 0)
    return values.flatten(0, 1)


def _joined_index(index: Tensor, dim: int | None, size: int, batch: int) -> Tensor:
    """The image of each region in the joined batch."""
    index = index.expand(size, *index.shape) if dim is None else index.movedim(dim, 0)
    return (index + batch * torch.arange(size, device=index.device)[:, None]).flatten()


@pool_op.register_vmap
def _(
    info: Any, dims: Any, tokens: Tensor, rows: Tensor, cols: Tensor, index: Tensor, prefix: int, backend: str
) -> tuple[Tensor, int]:
    size = info.batch_size
    tokens = _joined(tokens, dims[0], size)
    regions = [_joined(x, dim, size) for x, dim in zip((rows, cols), dims[1:3], strict=True)]
    index = _joined_index(index, dims[3], size, len(tokens) // size)
    return pool_op(tokens, *regions, index, prefix, backend).unflatten(0, (size, -1)), 0


@spread_op.register_vmap
def _(
    info: Any,
    dims: Any,
    grad: Tensor,
    rows: Tensor,
    cols: Tensor,
    index: Tensor,
    batch: int,
    length: int,
    prefix: int,
    backend: str,
) -> tuple[Tensor, int]:
    size = info.batch_size
    regions = [_joined(x, dim, size) for x, dim in zip((grad, rows, cols), dims[:3], strict=True)]
    index = _joined_index(index, dims[3], size, batch)
    out = spread_op(*regions, index, size * batch, length, prefix, backend)
    return out.unflatten(0, (size, batch)), 0


@correlate_op.register_vmap
def _(
    info: Any, dims: Any, tokens: Tensor, grad: Tensor, index: Tensor, prefix: int, backend: str
) -> tuple[Tensor, int]:
    size = info.batch_size
    tokens, grad = _joined(tokens, dims[0], size), _joined(grad, dims[1], size)
    index = _joined_index(index, dims[2], size, len(tokens) // size)
    return correlate_op(tokens, grad, index, prefix, backend).unflatten(0, (size, -1)), 0


@roi_align_op.register_vmap
def _(
    info: Any, dims: Any, features: Tensor, corners: Tensor, index: Tensor, bins: list[int], *options: Any
) -> tuple[Tensor, int]:
    size = info.batch_size
    features, corners = _joined(features, dims[0], size), _joined(corners, dims[1], size)
    index = _joined_index(index, dims[2], size, len(features) // size)
    return roi_align_op(features, corners, index, bins, *options).unflatten(0, (size, -1)), 0
