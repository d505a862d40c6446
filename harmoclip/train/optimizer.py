"""Which parameters learn, how fast, and from which step on."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from harmoclip.errors import InputError
from harmoclip.harmonized import Harmonized
from harmoclip.towers.base import Tower
from harmoclip.train.config import OptimizerConfig


def make_optimizer(harmo: Harmonized, config: OptimizerConfig) -> torch.optim.AdamW:
    """AdamW over everything that learns."""
    return torch.optim.AdamW(
        parameter_groups(harmo, config),
        lr=config.learning_rate,
        betas=(config.beta1, config.beta2),
        eps=config.epsilon,
    )


def parameter_groups(harmo: Harmonized, config: OptimizerConfig) -> list[dict[str, Any]]:
    """Groups for the optimizer, each with its factor on the learning rate and the step it joins in.

    The factor is `layer_decay ** (blocks above)`. Blocks that are never trained lose `requires_grad`.
    Norms, biases, scales and embeddings of one dimension have no weight decay.

    Args:
        harmo: The model, with what harmonizing added to learn, such as a temperature of its own.
        config: Its `layer_decay`, `image_blocks`, `text_blocks`, `unlock_at` and `weight_decay` are read.

    Raises:
        InputError: A tower has fewer blocks than shall be trained, or nothing is trained at all.
    """
    heights, locked = _heights_and_locked(harmo, config)
    members = defaultdict(list)
    for parameter in harmo.parameters():
        if parameter in locked and config.unlock_at is None:
            parameter.requires_grad_(False)
        elif parameter.requires_grad:
            start = (config.unlock_at or 0) if parameter in locked else 0
            factor = config.layer_decay ** heights.get(parameter, 0)
            members[factor, start, parameter.ndim >= 2].append(parameter)
    if not members:
        raise InputError("nothing is trained: every block of both towers is locked.")
    return [
        {
            "params": group,
            "factor": factor,
            "start": start,
            "weight_decay": config.weight_decay if decays else 0.0,
        }
        for (factor, start, decays), group in members.items()
    ]


def set_rates(groups: Iterable[dict[str, Any]], learning_rate: float, step: int) -> None:
    """Give each group its learning rate for this step; groups that have not joined in stand still."""
    for group in groups:
        group["lr"] = learning_rate * group["factor"] if step >= group["start"] else 0.0


def _heights_and_locked(
    harmo: Harmonized, config: OptimizerConfig
) -> tuple[dict[nn.Parameter, int], set[nn.Parameter]]:
    """How many blocks lie above each parameter of the towers, and which lie below the trained ones."""
    heights: dict[nn.Parameter, int] = {}
    locked: set[nn.Parameter] = set()
    asked = {"image": config.image_blocks, "text": config.text_blocks}
    for name, trained in asked.items():
        tower: Tower = getattr(harmo.towers, name)
        count = len(tower.blocks)
        if trained is not None and trained > count:
            raise InputError(f"optimizer.{name}_blocks is {trained}: the {name} tower has {count} blocks.")
        of_tower = {parameter: count + 1 - depth for parameter, depth in tower.depths().items()}
        heights.update(of_tower)
        if trained == 0:
            locked.update(of_tower)
        elif trained is not None and trained < count:
            locked.update(parameter for parameter, height in of_tower.items() if height > trained)
    return heights, locked


def rate(step: int, *, steps: int, warmup: int, schedule: str) -> float:
    """The factor on the learning rate in [0, 1]: linear warm-up, then `cosine`, `linear` or `constant`.

    It depends on the step alone: nothing to save, nothing to restore. Where a run is made longer, the steps
    that come have the rate of a run of the new length.

    Args:
        step: Counted from 0.
        steps: How many there are.
        warmup: How many of them rise linearly.
        schedule: What comes after.

    Example:
        >>> [rate(s, steps=6, warmup=2, schedule="linear") for s in range(6)]
        [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]
    """
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * done))
    return 1 - done if schedule == "linear" else 1.0
