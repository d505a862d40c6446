"""Reading a module's parameters where FSDP2 may keep them in shards."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ParamSpec, TypeVar

import torch
from torch import nn
from torch.torch_version import TorchVersion

Args = ParamSpec("Args")
Result = TypeVar("Result")

# in a backward pass, a module that runs again after its own turn stays in shards before torch 2.12, and gets
# inputs of the wrong precision before 2.14
GATHERS_AGAIN = torch.__version__ >= TorchVersion("2.14")


def call_gathered(
    module: nn.Module, function: Callable[Args, Result], *args: Args.args, **kwargs: Args.kwargs
) -> Result:
    """Call a function that reads the parameters of a module; FSDP2 gathers them first and shards them after.

    FSDP2 does both in the module's own hooks, so the function takes the place of `forward` for one call.
    """
    if not is_sharded(module):
        return function(*args, **kwargs)
    own = vars(module).get("forward")
    module.forward = function
    try:
        return module(*args, **kwargs)  # type: ignore[no-any-return]
    finally:
        del module.forward
        if own is not None:
            module.forward = own


def is_sharded(module: Any) -> bool:
    """Whether `fully_shard` was applied to this module."""
    if not torch.distributed.is_available():
        return False
    from torch.distributed.fsdp import FSDPModule

    return isinstance(module, FSDPModule)


def runs_again(modules: Iterable[nn.Module]) -> bool:
    """Whether a backward pass can run them once more: not in shards of FSDP2 before torch 2.14."""
    return GATHERS_AGAIN or not any(map(is_sharded, modules))
