"""Soft masks to vectors, straight from the token layout of a vision tower."""

import torch
import torch.nn.functional as F
from torch import Tensor

from harmoclip.errors import InputError
from harmoclip.ops._layout import checked_index, token_layout
from harmoclip.ops._pooling import pool
from harmoclip.ops._weights import Grid, compute_dtype


def mask_pool(
    tokens: Tensor,
    masks: Tensor,
    image_index: Tensor,
    *,
    grid: Grid | None = None,
    prefix: int = 0,
    layout: str = "tokens",
    normalize_tokens: bool = False,
    normalize: bool = False,
    backend: str = "auto",
) -> Tensor:
    """Average the features under each mask.

    `out[r] = sum_hw masks[r] tokens[image_index[r]] / sum_hw masks[r]`; differentiable in tokens and masks.

    Args:
        tokens: `[B, N, C]` with N = prefix + H * W, or by `layout` `[B, H, W, C]` or `[B, C, H, W]`.
        masks: `[R, H, W]` of the tokens' grid, bool or not negative; scale larger masks down first, for
            example by `torch.nn.functional.interpolate(mode="area")`. A mask of zeros gives zeros.
        image_index: `[R]` integers, the image of each mask.
        grid: (H, W) of the tokens; taken from the shape where `layout` is not "tokens".
        prefix: Tokens before the grid, which are skipped.
        layout: "tokens", "nhwc" or "nchw".
        normalize_tokens: Give every token unit length before pooling.
        normalize: Give every result unit length.
        backend: "auto", "reference", "cpu" or "triton"; see `available_backends`.

    Returns:
        `[R, C]` in the dtype of the tokens.

    Raises:
        InputError: A shape or name is wrong, an image index is out of range, or a mask is not finite.

    Example:
        >>> tokens, mask = torch.tensor([[[1.0], [2.0], [6.0]]]), torch.tensor([[[0.0, 1.0, 1.0]]])
        >>> mask_pool(tokens, mask, torch.tensor([0]), grid=(1, 3))
        tensor([[4.]])
    """
    tokens, grid = token_layout(tokens, grid, prefix, layout)
    if not isinstance(masks, Tensor) or masks.ndim != 3 or masks.shape[1:] != grid:
        given = tuple(masks.shape) if isinstance(masks, Tensor) else type(masks).__name__
        raise InputError(f"masks must be [R, {grid[0]}, {grid[1]}], got {given}.")
    image_index = checked_index("image_index", image_index, masks.shape[:1])
    weights = masks.to(compute_dtype(tokens.dtype)).flatten(1)
    total = weights.sum(1, keepdim=True)
    weights = weights / torch.where(total > 0, total, 1)
    out = mask_product(tokens, weights, image_index, prefix, normalize_tokens, backend)
    return F.normalize(out, dim=-1) if normalize else out


def mask_product(
    tokens: Tensor, weights: Tensor, index: Tensor, prefix: int, normalize_tokens: bool, backend: str
) -> Tensor:
    """`out[r] = sum_s weights[r, s] tokens[index[r], prefix + s]`, the tokens of unit length if asked for."""
    if normalize_tokens:  # a token's length divides its weight, so the tokens themselves stay as they are
        length = torch.linalg.vector_norm(tokens[:, prefix:], dim=-1, dtype=weights.dtype)
        weights = weights / length.clamp(min=1e-12)[index]
    return pool(tokens, weights[:, None], weights.new_ones(len(weights), 1, 1), index, prefix, backend)[
        :, 0, 0
    ]
