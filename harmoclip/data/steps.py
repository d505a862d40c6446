"""Transforms of torchvision's second kind that move boxes and leave them whole.

torchvision's own crops cut boxes at the edge, so that nobody can tell afterwards how much of a box is left.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.functional import normalize as normalize_unit
from torchvision.transforms.functional import to_tensor
from torchvision.transforms.v2 import functional as F

from harmoclip.data.preprocessing import Preprocessing


def image_size(inputs: list[Any]) -> tuple[int, int]:
    """Height and width of the first picture."""
    for item in inputs:
        if isinstance(item, Image.Image):
            return item.height, item.width
        if isinstance(item, tv_tensors.Image):
            return item.shape[-2], item.shape[-1]
    raise AssertionError("a pipeline of ours always holds a picture")


def moved(
    boxes: Tensor, scale: tuple[float, float], shift: tuple[float, float], canvas: tuple[int, int]
) -> Tensor:
    """Boxes `[R, 4]` under x -> scale * x + shift; pairs are (height, width) as torchvision's sizes."""
    factor = boxes.new_tensor([scale[1], scale[0]] * 2)
    offset = boxes.new_tensor([shift[1], shift[0]] * 2)
    return tv_tensors.BoundingBoxes(
        boxes.as_subclass(Tensor) * factor + offset, format="XYXY", canvas_size=canvas
    )


class ResizeTo(v2.Transform):
    """Resize as open_clip, timm and transformers do, each with its own rounding."""

    def __init__(self, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.size, self.mode = preprocessing.scaled, preprocessing.resize
        self.interpolation = InterpolationMode(preprocessing.interpolation)

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """The size in pixels that this picture is resized to, and the factors."""
        height, width = image_size(flat_inputs)
        size = self._target(height, width)
        return {"size": size, "scale": (size[0] / height, size[1] / width)}

    def _target(self, height: int, width: int) -> tuple[int, int]:
        if self.mode == "squash":
            return self.size
        if self.mode == "shortest" and self.size[0] == self.size[1]:
            side, long = self.size[0], int(self.size[0] * max(height, width) / min(height, width))
            return (side, long) if height <= width else (long, side)
        pick = max if self.mode == "longest" else min
        ratio = pick(height / self.size[0], width / self.size[1])
        return max(1, round(height / ratio)), max(1, round(width / ratio))

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """The input, resized."""
        if isinstance(inpt, tv_tensors.BoundingBoxes):
            return moved(inpt, params["scale"], (0, 0), params["size"])
        return F.resize(inpt, list(params["size"]), interpolation=self.interpolation, antialias=True)


class CentreCropOrPad(v2.Transform):
    """Crop or pad about the centre."""

    def __init__(self, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.size, fill = preprocessing.size, preprocessing.fill
        self.fill = fill if isinstance(fill, int) else list(fill)
        # half a pixel: torchvision rounds to even, transformers rounds down
        self.whole: Callable[[float], int] = round if preprocessing.pixels == "pillow" else int

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Padding at the left, top, right and bottom, and the crop's first row and column after it."""
        height, width = image_size(flat_inputs)
        over = [max(0, self.size[0] - height), max(0, self.size[1] - width)]
        padding = [over[1] // 2, over[0] // 2, (over[1] + 1) // 2, (over[0] + 1) // 2]
        top = self.whole((height + over[0] - self.size[0]) / 2)
        left = self.whole((width + over[1] - self.size[1]) / 2)
        return {"padding": padding, "top": top, "left": left}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """The input, cropped or padded."""
        padding, top, left = params["padding"], params["top"], params["left"]
        if isinstance(inpt, tv_tensors.BoundingBoxes):
            return moved(inpt, (1, 1), (padding[1] - top, padding[0] - left), self.size)
        if any(padding):
            inpt = F.pad(inpt, padding, fill=self.fill)
        return F.crop(inpt, top, left, *self.size)


class RandomCropTo(v2.RandomResizedCrop):
    """torchvision's random resized crop, with boxes that may reach outside."""

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """The part of the picture that is shown."""
        params: dict[str, Any] = super().make_params([x for x in flat_inputs if not _is_boxes(x)])
        return params

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """The input, cropped and resized."""
        if not _is_boxes(inpt):
            return super().transform(inpt, params)
        scale = (self.size[0] / params["height"], self.size[1] / params["width"])
        shift = (-params["top"] * scale[0], -params["left"] * scale[1])
        return moved(inpt, scale, shift, tuple(self.size))


class Normalise(v2.Transform):
    """From pixels to the model's input `[3, H, W]` float32, bit for bit as each library does it."""

    def __init__(self, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.mean, self.std = list(preprocessing.mean), list(preprocessing.std)

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """The input, as numbers."""
        if isinstance(inpt, Image.Image):
            return normalize_unit(to_tensor(inpt), self.mean, self.std)
        if isinstance(inpt, tv_tensors.Image):
            # transformers divides by 255 inside mean and std
            mean, std = (torch.tensor(v) * (1.0 / (1 / 255)) for v in (self.mean, self.std))
            return F.normalize(inpt.as_subclass(Tensor).float(), mean, std)
        return inpt


def _is_boxes(inpt: Any) -> bool:
    return isinstance(inpt, tv_tensors.BoundingBoxes)
