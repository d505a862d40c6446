"""The pooling product as its formula reads: slow in memory, differentiable by autograd alone, exportable."""

from torch import Tensor


def pool(tokens: Tensor, rows: Tensor, cols: Tensor, index: Tensor, prefix: int) -> Tensor:
    """`out[r, p, q] = sum_hw rows[r, p, h] cols[r, q, w] tokens[index[r], prefix + h W + w]`."""
    features = tokens[:, prefix:].unflatten(1, (rows.shape[2], cols.shape[2]))[index]  # [R, H, W, C]
    across = cols[:, None] @ features.to(rows.dtype)  # [R, H, Q, C]
    down = rows @ across.flatten(2)  # [R, P, Q * C]
    return down.unflatten(2, across.shape[2:]).to(tokens.dtype)
