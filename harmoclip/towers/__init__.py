"""Where each family of CLIP keeps its tokens; found by what a model has, open to registration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from harmoclip.capture import Tap, TapPoint
from harmoclip.errors import UnsupportedModelError
from harmoclip.towers.base import Dense, ImageTower, TextTower, Towers
from harmoclip.towers.models import hugging_face, image_tower, open_clip, text_tower, why_not
from harmoclip.towers.naflex import Patches
from harmoclip.towers.phrases import SpecialTokens
from harmoclip.towers.plain import EXAMPLE, PlainImage, PlainText

__all__ = [
    "Dense",
    "ImageTower",
    "Patches",
    "PlainImage",
    "PlainText",
    "SpecialTokens",
    "Tap",
    "TapPoint",
    "TextTower",
    "Towers",
    "find_towers",
    "image_tower",
    "register",
    "text_tower",
]

Match = Callable[[Any], Towers | None]

_FAMILIES: list[Match] = [open_clip, hugging_face]


def register(match: Match) -> Match:
    """Teach harmoclip a model family; the newest registration is asked first.

    Args:
        match: Gives the `Towers` of a model that it knows, and None for any other. Usable as a decorator.
    """
    _FAMILIES.insert(0, match)
    return match


def find_towers(model: nn.Module) -> Towers:
    """The towers of a model.

    Raises:
        UnsupportedModelError: No registered family knows the model.
    """
    for match in _FAMILIES:
        towers = match(model)
        if towers is not None:
            return towers
    asked = ", ".join(match.__name__ for match in _FAMILIES)
    raise UnsupportedModelError(
        f"no tower adapter knows {type(model).__name__}. Asked: {asked}. {why_not(model)}\n"
        "Give a CLIP of open_clip, OpenAI's clip or transformers, or register your own before you harmonize:"
        f"\n\n{EXAMPLE}"
    )
