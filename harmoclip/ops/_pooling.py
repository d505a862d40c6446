"""The operators behind every pooling function, closed under differentiation.

`pool` is linear in the tokens and, where each region is one row of weights over all tokens, in the weights.
Its derivatives are `spread` (in the tokens) and `correlate` (in the weights), and the derivatives of those
are the same three again. So gradients of any order exist without a formula of their own.
"""

from typing import Any, List  # noqa: UP035  (torch 2.6 reads no list[int] in an operator)

import torch
from torch import Tensor

from harmoclip.ops import backends
from harmoclip.ops.backends import reference


@torch.library.custom_op("harmoclip::pool", mutates_args=())
def pool_op(tokens: Tensor, rows: Tensor, cols: Tensor, index: Tensor, prefix: int, backend: str) -> Tensor:
    """`[B, N, C]`, `[R, P, H]`, `[R, Q, W]`, `[R]` to `[R, P, Q, C]`; see `cpu.pool`."""
    with torch.autocast(tokens.device.type, enabled=False):
        return backends.implementation(backend).pool(tokens, rows, cols, index, prefix)


@torch.library.custom_op("harmoclip::spread", mutates_args=())
def spread_op(
    grad: Tensor,
    rows: Tensor,
    cols: Tensor,
    index: Tensor,
    batch: int,
    length: int,
    prefix: int,
    backend: str,
) -> Tensor:
    """`[R, P, Q, C]` to `[batch, length, C]`; see `cpu.spread`."""
    with torch.autocast(grad.device.type, enabled=False):
        return backends.implementation(backend).spread(grad, rows, cols, index, batch, length, prefix)


@torch.library.custom_op("harmoclip::correlate", mutates_args=())
def correlate_op(tokens: Tensor, grad: Tensor, index: Tensor, prefix: int, backend: str) -> Tensor:
    """`[B, N, C]`, `[R, C]` to `[R, N - prefix]`; see `cpu.correlate`."""
    with torch.autocast(grad.device.type, enabled=False):
        return backends.implementation(backend).correlate(tokens, grad, index, prefix)


@torch.library.custom_op("harmoclip::roi_factors", mutates_args=())
def roi_factors_op(
    corners: Tensor,
    sizes: List[int],  # noqa: UP006
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
    backend: str,
) -> tuple[Tensor, Tensor]:
    """`[K, 4]` and H, W, P, Q to `[K, P, H]` and `[K, Q, W]`; see `_weights.roi_factors`."""
    return backends.implementation(backend).roi_factors(
        corners, sizes, spatial_scale, sampling_ratio, aligned
    )


@roi_factors_op.register_fake
def _(
    corners: Tensor,
    sizes: List[int],  # noqa: UP006
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
    backend: str,
) -> tuple[Tensor, Tensor]:
    height, width, p, q = sizes
    return corners.new_empty(len(corners), p, height), corners.new_empty(len(corners), q, width)


@torch.library.custom_op("harmoclip::roi_align", mutates_args=())
def roi_align_op(
    features: Tensor,
    corners: Tensor,
    index: Tensor,
    bins: List[int],  # noqa: UP006
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
    backend: str,
) -> Tensor:
    """`[B, C, H, W]`, `[K, 4]` and `[K]` to `[K, C, *bins]`; see `roi_align`."""
    with torch.autocast(features.device.type, enabled=False):
        return backends.implementation(backend).roi_align(
            features, corners, index, bins, spatial_scale, sampling_ratio, aligned
        )


@roi_align_op.register_fake
def _(
    features: Tensor,
    corners: Tensor,
    index: Tensor,
    bins: List[int],  # noqa: UP006
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
    backend: str,
) -> Tensor:
    return features.new_empty(len(corners), features.shape[1], *bins)


def pool(tokens: Tensor, rows: Tensor, cols: Tensor, index: Tensor, prefix: int, backend: str) -> Tensor:
    """Run the pooling product by the backend of that name ("auto" chooses)."""
    backend = backends.choose(backend, tokens)
    if backend == "reference":
        return reference.pool(tokens, rows, cols, index, prefix)
    return pool_op(tokens, rows, cols, index, prefix, backend)


@pool_op.register_fake
def _(tokens: Tensor, rows: Tensor, cols: Tensor, index: Tensor, prefix: int, backend: str) -> Tensor:
    return tokens.new_empty(rows.shape[0], rows.shape[1], cols.shape[1], tokens.shape[2])


@spread_op.register_fake
def _(
    grad: Tensor,
    rows: Tensor,
    cols: Tensor,
    index: Tensor,
    batch: int,
    length: int,
    prefix: int,
    backend: str,
) -> Tensor:
    return grad.new_empty(batch, length, grad.shape[3])


@correlate_op.register_fake
def _(tokens: Tensor, grad: Tensor, index: Tensor, prefix: int, backend: str) -> Tensor:
    dtype = torch.float64 if tokens.dtype == torch.float64 else torch.float32
    return tokens.new_empty(grad.shape[0], tokens.shape[1] - prefix, dtype=dtype)


def _keep_pool(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    tokens, rows, cols, index, ctx.prefix, ctx.backend = inputs
    ctx.shape = tokens.shape[:2]
    # the tokens are needed for the gradient of weights alone
    ctx.save_for_backward(tokens if ctx.needs_input_grad[1] else None, rows, cols, index)


def _pool_backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    tokens, rows, cols, index = ctx.saved_tensors
    d_tokens = d_rows = None
    if ctx.needs_input_grad[0]:
        d_tokens = spread_op(grad, rows, cols, index, *ctx.shape, ctx.prefix, ctx.backend)
    if ctx.needs_input_grad[1]:
        d_rows = _weight_grad(tokens, grad, index, ctx)
    return d_tokens, d_rows, None, None, None, None


def _keep_spread(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    grad, rows, cols, index, _, _, ctx.prefix, ctx.backend = inputs
    ctx.save_for_backward(grad if ctx.needs_input_grad[1] else None, rows, cols, index)


def _spread_backward(ctx: Any, tokens: Tensor) -> tuple[Tensor | None, ...]:
    grad, rows, cols, index = ctx.saved_tensors
    d_grad = d_rows = None
    if ctx.needs_input_grad[0]:
        d_grad = pool_op(tokens, rows, cols, index, ctx.prefix, ctx.backend)
    if ctx.needs_input_grad[1]:
        d_rows = _weight_grad(tokens, grad, index, ctx)
    return d_grad, d_rows, None, None, None, None, None, None


def _weight_grad(tokens: Tensor, grad: Tensor, index: Tensor, ctx: Any) -> Tensor:
    assert grad.shape[1:3] == (1, 1), "weights are differentiable as one row over all tokens"
    return correlate_op(tokens, grad[:, 0, 0], index, ctx.prefix, ctx.backend)[:, None]


def _keep_correlate(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    tokens, grad, index, ctx.prefix, ctx.backend = inputs
    ctx.save_for_backward(tokens, grad, index)


def _correlate_backward(ctx: Any, weights: Tensor) -> tuple[Tensor | None, ...]:
    tokens, grad, index = ctx.saved_tensors
    rows, cols = weights[:, None], weights.new_ones(len(weights), 1, 1)
    where = (rows, cols, index)
    d_tokens = d_grad = None
    if ctx.needs_input_grad[0]:
        d_tokens = spread_op(grad[:, None, None], *where, *tokens.shape[:2], ctx.prefix, ctx.backend)
    if ctx.needs_input_grad[1]:
        d_grad = pool_op(tokens, *where, ctx.prefix, ctx.backend)[:, 0, 0]
    return d_tokens, d_grad, None, None, None


def _keep_roi_align(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    features, corners, index, bins, *ctx.options, ctx.backend = inputs
    ctx.shape, ctx.sizes = features.shape, [*features.shape[2:], *bins]
    ctx.save_for_backward(corners, index)


def _roi_align_backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    corners, index = ctx.saved_tensors
    batch, _, height, width = ctx.shape
    rows, cols = roi_factors_op(corners, ctx.sizes, *ctx.options, ctx.backend)
    where = (rows, cols, index, batch, height * width, 0, ctx.backend)
    d_features = spread_op(grad.permute(0, 2, 3, 1), *where).unflatten(1, (height, width)).permute(0, 3, 1, 2)
    return d_features, None, None, None, None, None, None, None


pool_op.register_autograd(_pool_backward, setup_context=_keep_pool)
spread_op.register_autograd(_spread_backward, setup_context=_keep_spread)
correlate_op.register_autograd(_correlate_backward, setup_context=_keep_correlate)
roi_align_op.register_autograd(_roi_align_backward, setup_context=_keep_roi_align)
