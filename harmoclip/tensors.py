"""Two rules that every part keeps: numbers in float32 or wider, vectors of L2 norm 1."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def full_precision(values: Tensor) -> Tensor:
    """Values of any dtype in float32; values in float64 stay so.

    Example:
        >>> full_precision(torch.ones(2, dtype=torch.bfloat16)).dtype
        torch.float32
    """
    return values if values.dtype == torch.float64 else values.float()


def l2_normalize(vectors: Tensor) -> Tensor:
    """Vectors `[..., D]` of any dtype divided by their L2 norm, in float32 or wider; zeros stay zeros.

    Example:
        >>> l2_normalize(torch.tensor([3.0, 4.0]))
        tensor([0.6000, 0.8000])
    """
    return F.normalize(full_precision(vectors), dim=-1)
