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
from torchvision.transforms.functional import pil_to_tensor
from torchvision.transforms.v2 import functional as F

from harmoclip.data.transforms.preprocessing import Preprocessing


def image_size(inputs: list[Any]) -> tuple[int, int]:
    """Height and width of the first image."""
    for item in inputs:
        if isinstance(item, Image.Image):
            return item.height, item.width
        if isinstance(item, tv_tensors.Image):
            return item.shape[-2], item.shape[-1]
    raise AssertionError("a pipeline of ours always holds an image")


def moved(
    boxes: Tensor, scale: tuple[float, float], shift: tuple[float, float], canvas: tuple[int, int]
) -> Tensor:
    """Boxes `[R, 4]` under x -> scale * x + shift; pairs are (height, width) as torchvision's sizes."""
    factor, offset = torch.tensor([scale[1], scale[0]] * 2), torch.tensor([shift[1], shift[0]] * 2)
    return tv_tensors.wrap(boxes.as_subclass(Tensor) * factor + offset, like=boxes, canvas_size=canvas)


def interpolation_of(preprocessing: Preprocessing) -> InterpolationMode:
    """Torchvision's word for the filter; of tensors, Pillow's nearest is what torchvision calls exact."""
    name = preprocessing.interpolation
    exact = preprocessing.pixels == "tensor" and name == "nearest"
    return InterpolationMode("nearest-exact" if exact else name)


class ResizeAndCrop(v2.Transform):
    """Resize, then crop or pad about the centre, with the rounding of open_clip, timm or transformers."""

    def __init__(self, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.scaled, self.mode = preprocessing.scaled, preprocessing.resize
        self.size, fill = preprocessing.size, preprocessing.fill
        self.interpolation = interpolation_of(preprocessing)
        self.fill = fill if isinstance(fill, int) else list(fill)
        # half a pixel: torchvision rounds to even, transformers rounds down
        self.whole: Callable[[float], int] = round if preprocessing.pixels == "pillow" else int

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """The size after the resize, padding at each edge, and the crop's first row and column after both."""
        height, width = image_size(flat_inputs)
        resized = self._resized(height, width)
        over = [max(0, self.size[0] - resized[0]), max(0, self.size[1] - resized[1])]
        return {
            "resized": resized,
            "scale": (resized[0] / height, resized[1] / width),
            "padding": [over[1] // 2, over[0] // 2, (over[1] + 1) // 2, (over[0] + 1) // 2],
            "top": self.whole((resized[0] + over[0] - self.size[0]) / 2),
            "left": self.whole((resized[1] + over[1] - self.size[1]) / 2),
        }

    def _resized(self, height: int, width: int) -> tuple[int, int]:
        if self.mode == "squash":
            return self.scaled
        if self.mode == "shortest" and self.scaled[0] == self.scaled[1]:
            side, long = self.scaled[0], int(self.scaled[0] * max(height, width) / min(height, width))
            return (side, long) if height <= width else (long, side)
        pick = max if self.mode == "longest" else min
        ratio = pick(height / self.scaled[0], width / self.scaled[1])
        return max(1, round(height / ratio)), max(1, round(width / ratio))

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """The input, resized, and cropped or padded."""
        padding, top, left = params["padding"], params["top"], params["left"]
        if _is_boxes(inpt):
            return moved(inpt, params["scale"], (padding[1] - top, padding[0] - left), self.size)
        inpt = F.resize(inpt, list(params["resized"]), interpolation=self.interpolation, antialias=True)
        if any(padding):
            inpt = F.pad(inpt, padding, fill=self.fill)
        return F.crop(inpt, top, left, *self.size)


class RandomCropTo(v2.RandomResizedCrop):
    """torchvision's random resized crop, with boxes that may reach outside."""

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """The part of the image that is shown."""
        params: dict[str, Any] = super().make_params([x for x in flat_inputs if not _is_boxes(x)])
        return params

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """The input, cropped and resized."""
        if not _is_boxes(inpt):
            return super().transform(inpt, params)
        scale = (self.size[0] / params["height"], self.size[1] / params["width"])
        shift = (-params["top"] * scale[0], -params["left"] * scale[1])
        return moved(inpt, scale, shift, tuple(self.size))


class Normalize:
    """From pixels to the model's input `[3, H, W]` float32, bit for bit as each library does it."""

    def __init__(self, preprocessing: Preprocessing) -> None:
        self.pixels, self.rescale = preprocessing.pixels, preprocessing.rescale
        mean, std = preprocessing.mean, preprocessing.std
        self.mean = None if mean is None else torch.tensor(mean).view(-1, 1, 1)
        self.std = None if std is None else torch.tensor(std).view(-1, 1, 1)

    def __call__(self, image: Image.Image | tv_tensors.Image) -> Tensor:
        """The image as numbers."""
        values = pil_to_tensor(image) if isinstance(image, Image.Image) else image.as_subclass(Tensor)
        if self.pixels == "tensor":
            return self._in_one_step(values)
        values = values.to(torch.float32, memory_format=torch.contiguous_format)
        if self.pixels == "pillow" and self.rescale == 1 / 255:
            values = values.div_(255)
        elif self.rescale is not None:
            values = values.double().mul_(self.rescale).float()
        if self.mean is None or self.std is None:
            return values
        return values.sub_(self.mean).div_(self.std)

    def _in_one_step(self, values: Tensor) -> Tensor:
        """As transformers does it: what values are multiplied by is a part of mean and standard deviation."""
        if self.mean is None or self.std is None:
            return values.float() if self.rescale is None else values * self.rescale
        factor = 1.0 if self.rescale is None else 1.0 / self.rescale
        return values.float().sub_(self.mean * factor).div_(self.std * factor)


def _is_boxes(inpt: Any) -> bool:
    return isinstance(inpt, tv_tensors.BoundingBoxes)
