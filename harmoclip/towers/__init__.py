"""Where each family of CLIP keeps its tokens; found by what a model has, open to registration."""

from __future__ import annotations

from torch import nn

from harmoclip.capture import ImageTaps, TapPoint, TextTaps
from harmoclip.errors import UnsupportedModelError
from harmoclip.towers import (
    clip_resnet,
    hf_text,
    hf_vit,
    naflex,
    open_clip_hf_text,
    open_clip_text,
    open_clip_vit,
    timm_map,
    timm_vit,
)
from harmoclip.towers.base import Dense, ImageTower, TextTower, Tower, Towers
from harmoclip.towers.custom import EXAMPLE, CustomImageTower, CustomTextTower
from harmoclip.towers.families import why_not
from harmoclip.towers.naflex import Patches
from harmoclip.towers.phrases import SpecialTokens
from harmoclip.towers.projections import check_wrappers
from harmoclip.towers.registry import (
    FAMILIES,
    image_tower,
    register,
    register_image_tower,
    register_text_tower,
    text_tower,
)

__all__ = [
    "CustomImageTower",
    "CustomTextTower",
    "Dense",
    "ImageTaps",
    "ImageTower",
    "Patches",
    "SpecialTokens",
    "TapPoint",
    "TextTaps",
    "TextTower",
    "Tower",
    "Towers",
    "find_towers",
    "image_tower",
    "register",
    "register_image_tower",
    "register_text_tower",
    "text_tower",
]


def __dir__() -> list[str]:
    return sorted(__all__)


BUILT_IN = (
    clip_resnet, hf_text, hf_vit, naflex, open_clip_hf_text, open_clip_text, open_clip_vit, timm_map,
    timm_vit,
)  # fmt: skip
"""The modules of the families that come with harmoclip; each registers its towers."""


def find_towers(model: nn.Module) -> Towers:
    """The towers of a model.

    Raises:
        UnsupportedModelError: No registered family knows the model, or something wraps one of its layers that
            the model itself passes over.
    """
    for match in FAMILIES:
        towers = match(model)
        if towers is not None:
            check_wrappers(model)
            return towers
    asked = ", ".join(match.__name__ for match in FAMILIES)
    raise UnsupportedModelError(
        f"no tower adapter knows {type(model).__name__}. Asked: {asked}. {why_not(model)}\n"
        "Give a CLIP of open_clip, OpenAI's clip or transformers, or register your own before you harmonize:"
        f"\n\n{EXAMPLE}"
    )
