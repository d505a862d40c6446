"""What a torchvision `Compose` does to an image, read from its steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from harmoclip.errors import InputError

Settings = dict[str, Any]
_KNOWN = "Resize, CenterCrop, a conversion to RGB, ToTensor and Normalize, in this order"


def read_compose(steps: Sequence[Any]) -> Settings:
    """The settings of a `Preprocessing` that the steps of a `Compose` make up.

    Raises:
        InputError: There is a step without a counterpart, one of them is missing, or the order is another.

    Example:
        >>> from torchvision.transforms import CenterCrop, Normalize, Resize, ToTensor
        >>> steps = [Resize(8), CenterCrop(8), ToTensor(), Normalize([0.5] * 3, [0.5] * 3)]
        >>> read_compose(steps)["scaled"]
        (8, 8)
    """
    settings: Settings = {}
    last = -1
    for step in steps:
        name = getattr(step, "__name__", type(step).__name__)
        place = _place(f"{name} {getattr(step, 'mode', '')}" if name == "MaybeConvertMode" else name)
        if place is None or place <= last:
            raise InputError(f"Compose has the step {name}: expected {_KNOWN}. Give a Preprocessing.")
        last = place
        settings |= _READERS[place](step)
    settings.setdefault("size", settings.get("scaled"))
    missing = [key for key in ("scaled", "mean") if key not in settings]
    if missing or (settings["resize"] == "shortest" and "cropped" not in settings):
        raise InputError(
            f"Compose has {', '.join(type(step).__name__ for step in steps)}: expected {_KNOWN}, so that "
            "every input has one size. Give a Preprocessing."
        )
    settings.pop("cropped", None)
    return settings


def _place(name: str) -> int | None:
    """Where in the order a step belongs."""
    if "rgb" in name.lower():
        return 2
    order = {"Resize": 0, "CenterCrop": 1, "ToTensor": 3, "MaybeToTensor": 3, "Normalize": 4}
    return order.get(name)


def _resize(step: Any) -> Settings:
    if getattr(step, "max_size", None) is not None:
        raise InputError(f"Resize has max_size={step.max_size}: give a harmoclip.data.Preprocessing.")
    size = _pair(step.size)
    squashes = not isinstance(step.size, int) and len(step.size) == 2
    interpolation = getattr(step.interpolation, "value", step.interpolation)
    return {"scaled": size, "resize": "squash" if squashes else "shortest", "interpolation": interpolation}


def _center_crop(step: Any) -> Settings:
    return {"size": _pair(step.size), "cropped": True}


def _normalize(step: Any) -> Settings:
    mean, std = (tuple(map(float, values)) for values in (step.mean, step.std))
    return {"mean": mean, "std": std}


def _pair(size: int | Sequence[int]) -> tuple[int, int]:
    height, *rest = [size] if isinstance(size, int) else size
    return int(height), int(rest[0] if rest else height)


_READERS: list[Callable[[Any], Settings]] = [
    _resize,
    _center_crop,
    lambda step: {},
    lambda step: {},
    _normalize,
]
