"""Large images seen through overlapping windows: the cosine of every pixel with texts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from PIL import Image
from torch import Tensor

from harmoclip.errors import InputError

Dense = Callable[[Sequence[Image.Image]], Iterable[Tensor]]
"""From images to the patch vectors `[h, w, D]` of each, with L2 norm 1."""


@dataclass(frozen=True)
class Windows:
    """How an image is cut for a model of a fixed input.

    Args:
        short_side: Images are resized to this short side; None leaves them as they are.
        window: The side of a window; None takes the model's input.
        stride: How far a window lies from the next; None is half a window.
    """

    short_side: int | None = 336
    window: int | None = None
    stride: int | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and value < 1:
                raise InputError(f"{name} is {value}: expected 1 or more pixels.")

    def resized(self, image: Image.Image) -> Image.Image:
        """The image with the short side."""
        if self.short_side is None:
            return image
        scale = self.short_side / min(image.size)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        return image.resize(size, Image.Resampling.BICUBIC)

    def boxes(self, size: tuple[int, int], input_side: int) -> list[tuple[int, int, int, int]]:
        """Windows that cover an image of a width and height, in its pixels.

        The last ones are moved back to its edge; where the image is smaller than a window, so are they.

        Example:
            >>> Windows().boxes((10, 8), 8)
            [(0, 0, 8, 8), (2, 0, 10, 8)]
        """
        side = self.window or input_side
        xs, ys = (_starts(length, side, self.stride or max(1, side // 2)) for length in size)
        return [(x, y, min(x + side, size[0]), min(y + side, size[1])) for y in ys for x in xs]


def pixel_scores(
    dense: Dense, image: Image.Image, vectors: Tensor, windows: Windows, input_side: int
) -> Tensor:
    """The cosine `[K, H, W]` of each pixel of the resized image with each vector, the mean over windows.

    Args:
        dense: Gives the patches of windows, on the vectors' device.
        image: Of any size.
        vectors: `[K, D]` with L2 norm 1.
        windows: How the image is resized and cut.
        input_side: Of the model's input, in pixels.
    """
    resized = windows.resized(image)
    boxes = windows.boxes(resized.size, input_side)
    total = torch.zeros(len(vectors), resized.height, resized.width)
    count = torch.zeros(resized.height, resized.width)
    for (x1, y1, x2, y2), patches in zip(boxes, dense([resized.crop(box) for box in boxes]), strict=True):
        cosine = rearrange(patches @ vectors.T, "h w k -> 1 k h w")
        total[:, y1:y2, x1:x2] += F.interpolate(cosine, (y2 - y1, x2 - x1), mode="bilinear")[0]
        count[y1:y2, x1:x2] += 1
    return total / count


def _starts(length: int, side: int, stride: int) -> list[int]:
    steps = math.ceil(max(0, length - side) / stride)
    return [max(0, min(i * stride, length - side)) for i in range(steps + 1)]
