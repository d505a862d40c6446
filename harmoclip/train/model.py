"""The model that a run trains: loaded, with adapters if they are asked for, harmonized, ready for shards."""

from __future__ import annotations

import copy
from typing import Any

from torch import nn

from harmoclip.errors import HarmoclipError, InputError, MissingDependencyError
from harmoclip.harmonized import Harmonized, harmonize
from harmoclip.models import LoadedModel, load_model
from harmoclip.options import Options
from harmoclip.stretch import with_context
from harmoclip.towers import find_towers
from harmoclip.train.config import Config, LoraConfig


def load(config: Config) -> LoadedModel:
    """The model of a configuration with float32 weights, whatever it was stored in, and its context length.

    Weights of half precision cannot be trained by Adam, whose steps are smaller than their rounding; mixed
    precision, which is Accelerate's, keeps float32 weights.

    Raises:
        InputError: There is no such model, or its context is longer than is asked for.
        UnsupportedModelError: Its context cannot be stretched.
    """
    loaded = load_model(config.model.name, config.model.pretrained)
    loaded.model.float()
    length = config.model.context_length
    try:
        return with_context(loaded, length)
    except HarmoclipError as error:
        raise type(error)(f"model.context_length is {length}: {error}") from error


def build(loaded: LoadedModel, objective: Options, lora: LoraConfig) -> Harmonized:
    """The loaded model with region alignment; a teacher is the model as it is now."""
    model = loaded.model
    teacher = frozen_copy(model) if objective.teacher else None
    if lora.rank is not None:
        model = with_adapters(model, lora)
    return harmonize(model, objective, teacher=teacher, tokenizer=loaded.tokenizer)


def frozen_copy(model: nn.Module) -> nn.Module:
    """The model as it is now, which no longer learns."""
    return copy.deepcopy(model).requires_grad_(False).eval()


# ---------------------------------------------------------------------- adapters


def with_adapters(model: nn.Module, lora: LoraConfig) -> nn.Module:
    """The model wrapped by peft: low-rank adapters learn, and nothing else does.

    Raises:
        MissingDependencyError: peft is not installed.
        InputError: No module has a name that ends in one of the targets, or peft cannot adapt one.
    """
    try:
        import peft
    except ImportError as error:
        raise MissingDependencyError('lora.rank needs peft: pip install "harmoclip[train]".') from error
    targets = list(lora.targets or projections(model))
    options: dict[str, Any] = {"r": lora.rank, "lora_alpha": lora.alpha, "target_modules": targets}
    try:
        wrapped: nn.Module = peft.get_peft_model(model, peft.LoraConfig(**options))
    except ValueError as error:
        raise InputError(f"lora.targets is {targets}: {error}") from error
    return wrapped


def projections(model: nn.Module) -> list[str]:
    """The names of every linear map and every attention of the blocks of both towers."""
    names = {module: name for name, module in model.named_modules()}
    towers, found = find_towers(model), []
    for block in (*towers.image.blocks, *towers.text.blocks):
        attentions = {m for m in block.modules() if isinstance(m, nn.MultiheadAttention)}
        inside = {part for attention in attentions for part in attention.children()}
        linear = {m for m in block.modules() if isinstance(m, nn.Linear) and m not in inside}
        found += [names[module] for module in (*attentions, *linear)]
    return sorted(found)


# ---------------------------------------------------------------------- shards


def ready_for_shards(harmo: Harmonized) -> None:
    """Name the blocks that Accelerate shards one by one, and give scalars a dimension: FSDP2 refuses them.

    Args:
        harmo: Changed in place; `logit_scale` and the like become `[1]`.
    """
    blocks = (*harmo.towers.image.blocks, *harmo.towers.text.blocks)
    # where Accelerate's `transformer_based_wrap` looks when no class is named
    vars(harmo)["_no_split_modules"] = sorted({type(block).__name__ for block in blocks})
    for module in harmo.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.ndim == 0:
                wide = nn.Parameter(parameter.detach().reshape(1), parameter.requires_grad)
                setattr(module, name, wide)
