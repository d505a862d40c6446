"""What FSDP2 asks of a model before Accelerate shards it."""

from __future__ import annotations

from typing import Any

from torch import nn

from harmoclip.harmonized import Harmonized
from harmoclip.train.parameters import blocks_of


def ready_for_shards(harmo: Harmonized) -> None:
    """Name the blocks that Accelerate shards one by one, and give scalars a dimension: FSDP2 refuses them.

    Args:
        harmo: Changed in place; `logit_scale` and the like become `[1]`.
    """
    model: Any = harmo.model
    blocks = [name for tower in ("image", "text") for name in blocks_of(model, tower)]
    # where Accelerate's `transformer_based_wrap` looks when no class is named
    vars(harmo)["_no_split_modules"] = sorted({type(model.get_submodule(name)).__name__ for name in blocks})
    for module in harmo.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.ndim == 0:
                wide = nn.Parameter(parameter.detach().reshape(1), parameter.requires_grad)
                setattr(module, name, wide)
