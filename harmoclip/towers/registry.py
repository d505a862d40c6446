"""Which towers and which whole models are known; the newest registration is asked first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from harmoclip.towers.base import ImageTower, TextTower, Towers

Match = Callable[[Any], Towers | None]
AnImageTower = TypeVar("AnImageTower", bound=type[ImageTower])
ATextTower = TypeVar("ATextTower", bound=type[TextTower])
AMatch = TypeVar("AMatch", bound=Match)

IMAGE_TOWERS: list[type[ImageTower]] = []
TEXT_TOWERS: list[type[TextTower]] = []
FAMILIES: list[Match] = []


def register_image_tower(tower: AnImageTower) -> AnImageTower:
    """Teach harmoclip an image encoder: a class whose `matches` knows it, made from the encoder alone.

    Usable as a decorator. It counts wherever an encoder of its kind is a model's `visual` or `vision_model`.
    """
    IMAGE_TOWERS.insert(0, tower)
    return tower


def register_text_tower(tower: ATextTower) -> ATextTower:
    """Teach harmoclip a text encoder: a class whose `matches` knows it, made from the encoder alone."""
    TEXT_TOWERS.insert(0, tower)
    return tower


def register(match: AMatch) -> AMatch:
    """Teach harmoclip a whole model.

    Args:
        match: Gives the `Towers` of a model that it knows, and None for any other. Usable as a decorator.
    """
    FAMILIES.insert(0, match)
    return match


def image_tower(module: Any) -> ImageTower | None:
    """The registered tower of an image encoder, None where no class matches it."""
    known: Any = next((tower for tower in IMAGE_TOWERS if tower.matches(module)), None)
    return None if known is None else known(module)


def text_tower(module: Any) -> TextTower | None:
    """The registered tower of a text encoder, None where no class matches it."""
    known: Any = next((tower for tower in TEXT_TOWERS if tower.matches(module)), None)
    return None if known is None else known(module)
