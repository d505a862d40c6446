"""Less memory for more time: what the backward pass needs is computed again."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.torch_version import TorchVersion
from torch.utils.checkpoint import checkpoint

# older compilers fail where such a function reads a number that may change (an epsilon, a weight)
COMPILES = torch.__version__ >= TorchVersion("2.15")


def recomputed(function: Callable[..., Tensor], *args: object, random: bool = True) -> Tensor:
    """What the function gives; the backward pass runs it again instead of keeping what it needs.

    A program compiled before torch 2.15 keeps it, as far as the compiler does not choose to compute it again.

    Args:
        function: What to run.
        *args: What it is given.
        random: Whether it draws random numbers, which the second run has to draw again.

    Example:
        >>> x = torch.ones(3, requires_grad=True)
        >>> recomputed(torch.exp, x).sum().backward()
        >>> x.grad
        tensor([2.7183, 2.7183, 2.7183])
    """
    if not torch.is_grad_enabled() or (torch.compiler.is_compiling() and not COMPILES):
        return function(*args)
    result: Tensor = checkpoint(function, *args, use_reentrant=False, preserve_rng_state=random)
    return result
