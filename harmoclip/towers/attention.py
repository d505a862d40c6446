"""The value path: a transformer block whose attention is left out."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor


def value_path(block: Any, x: Tensor) -> Tensor:
    """What an open_clip residual block gives when every token attends to itself alone.

    The value and output projections are applied to each token; residual connections, layer scales, inner
    norms and the MLP are kept (MaskCLIP, arXiv 2112.01071):
    `y = x + ls_1(out_proj(v(ln_1(x))))`, `z = y + ls_2(mlp(ln_2(y)))`.

    Args:
        block: A block with `ln_1`, `attn` (`in_proj_weight`, `in_proj_bias`, `out_proj`), `ln_2` and `mlp`.
        x: `[B, N, C]` the block's input.
    """
    attention = block.attn
    width = x.shape[-1]
    bias = attention.in_proj_bias
    normed = block.ln_1(x)
    value = F.linear(normed, attention.in_proj_weight[-width:], None if bias is None else bias[-width:])
    value = attention.out_proj(_inner(attention, value))
    if hasattr(block, "ln_attn"):  # open_clip's custom block norms the attention's output
        value = block.ln_attn(value)
    x = x + block.ls_1(value)
    return x + block.ls_2(block.mlp(block.ln_2(x)))


def _inner(attention: Any, value: Tensor) -> Tensor:
    """Head scales and the inner norm of open_clip's own `Attention`."""
    scale = getattr(attention, "head_scale", None)
    if scale is not None:
        heads = value.unflatten(-1, (scale.shape[0], -1))
        value = (heads * scale.reshape(-1, 1)).flatten(-2)
    inner = getattr(attention, "ln_inner", None)
    return value if inner is None else inner(value)
