"""Which parameters learn, how fast, and from which step on."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import Any, NamedTuple

import torch
from torch import nn

from harmoclip.errors import InputError
from harmoclip.harmonized import Harmonized
from harmoclip.train.config import OptimizerConfig

_IMAGE = re.compile(r"^(visual|vision|image)")
_FREE = re.compile(r"^logit_")
_BELOW = re.compile(
    r"embed|conv1|ln_pre|norm_pre|pre_layrnorm|cls_token|reg_token|patch|stem|visual\.(conv|bn)\d"
)
_NO_TOWER = re.compile(r"^text_decoder")


class Place(NamedTuple):
    """Where a parameter is: its tower, and its depth there, 0 below the first block."""

    tower: str
    depth: int


def make_optimizer(harmo: Harmonized, config: OptimizerConfig) -> torch.optim.AdamW:
    """AdamW over everything that learns."""
    return torch.optim.AdamW(
        parameter_groups(harmo, config),
        lr=config.learning_rate,
        betas=(config.beta1, config.beta2),
        eps=config.epsilon,
    )


def parameter_groups(harmo: Harmonized, config: OptimizerConfig) -> list[dict[str, Any]]:
    """Groups for the optimiser, each with its factor on the learning rate and the step it joins in.

    The factor is `layer_decay ** (blocks above)`. Blocks that are never trained lose `requires_grad`.
    Norms, biases, scales and embeddings of one dimension have no weight decay.

    Args:
        harmo: The model, with what harmonizing added to learn, such as a temperature of its own.
        config: Its `layer_decay`, `image_blocks`, `text_blocks`, `unlock_at` and `weight_decay` are read.

    Raises:
        InputError: A tower has fewer blocks than shall be trained, or nothing is trained at all.
    """
    model = harmo.model
    blocks = {tower: blocks_of(model, tower) for tower in ("image", "text")}
    asked = {"image": config.image_blocks, "text": config.text_blocks}
    for tower, count in asked.items():
        if count is not None and not 0 <= count <= len(blocks[tower]):
            raise InputError(
                f"optimizer.{tower}_blocks is {count}: the {tower} tower has {len(blocks[tower])} blocks."
            )
    members = defaultdict(list)
    for name, parameter in model.named_parameters():
        place = place_of(name, blocks)
        height = len(blocks.get(place.tower, ())) + 1 - place.depth  # 0 above the last block
        locked = _locked(asked.get(place.tower), height, len(blocks.get(place.tower, ())))
        if locked and config.unlock_at is None:
            parameter.requires_grad_(False)
        elif parameter.requires_grad:
            start = (config.unlock_at or 0) if locked else 0
            members[config.layer_decay**height, start, parameter.ndim >= 2].append(parameter)
    theirs = {id(p) for p in model.parameters()}
    members[1.0, 0, False] += [p for p in harmo.parameters() if id(p) not in theirs and p.requires_grad]
    if not any(members.values()):
        raise InputError("nothing is trained: every block of both towers is locked.")
    return [
        {
            "params": group,
            "factor": factor,
            "start": start,
            "weight_decay": config.weight_decay if decays else 0.0,
        }
        for (factor, start, decays), group in members.items()
        if group
    ]


def set_rates(groups: Iterable[dict[str, Any]], learning_rate: float, step: int) -> None:
    """Give each group its learning rate for this step; groups that have not joined in stand still."""
    for group in groups:
        group["lr"] = learning_rate * group["factor"] if step >= group["start"] else 0.0


def place_of(name: str, blocks: dict[str, list[str]]) -> Place:
    """The place of the parameter with this name.

    Args:
        name: As `named_parameters` gives it.
        blocks: The name of each block of each tower, from the bottom.
    """
    if _FREE.match(name):
        return Place("both", 1)
    tower = "image" if _IMAGE.match(name) else "text"
    path, paths = name.split("."), [block.split(".") for block in blocks[tower]]
    shared = [_shared(path, block) for block in paths]
    nearest = max(shared, default=0)
    of_all = min((_shared(paths[0], block) for block in paths), default=0)
    if nearest > of_all or path[:nearest] in paths:
        return Place(tower, shared.index(nearest) + 1)  # in a block, or before those of its stage
    return Place(tower, 0 if _BELOW.search(name) else len(paths) + 1)


def blocks_of(model: nn.Module, tower: str) -> list[str]:
    """The names of a tower's blocks, from the bottom.

    They are the modules of its longest list, and of its other lists of the same class where it has stages.
    """
    lists = {
        name: list(module)
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList | nn.Sequential)
        and (tower == "image") == bool(_IMAGE.match(name))
        and not _NO_TOWER.match(name)
        and all(child.isdigit() for child, _ in module.named_children())
    }
    longest = max(lists.values(), key=len, default=[])
    return [
        f"{name}.{i}"
        for name, modules in lists.items()
        if modules and all(type(module) is type(longest[0]) for module in modules)
        for i in range(len(modules))
    ]


def tower_blocks(model: nn.Module) -> list[nn.Module]:
    """The blocks of both towers."""
    return [model.get_submodule(name) for tower in ("image", "text") for name in blocks_of(model, tower)]


def _shared(path: Sequence[str], other: Sequence[str]) -> int:
    """How many parts two paths begin with together."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(path, other, strict=False)))


def _locked(trained: int | None, height: int, blocks: int) -> bool:
    """Whether a parameter at this height lies below the trained blocks; 0 locks the whole tower."""
    return trained is not None and (trained == 0 or (height > trained and trained < blocks))


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
