"""Boxes over an image, each with its label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from harmoclip.boxes import Unit, boxes_in_pixels
from harmoclip.draw.images import PALETTE, draw_image, pixels
from harmoclip.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from PIL import Image


def draw_boxes(
    image: Image.Image | Tensor,
    boxes: Tensor,
    labels: Sequence[str] | None = None,
    *,
    unit: Unit = "fraction",
    colors: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw boxes over an image, each with its label.

    Args:
        image: A PIL image, or a tensor `[3, H, W]`, uint8 or float in [0, 1].
        boxes: `[R, 4]` xyxy, in the unit.
        labels: One text a box.
        unit: Of the boxes: a `fraction` of the image's width and height, or a `pixel` of it.
        colors: One Matplotlib color a box; a palette in turn where it is None.
        ax: Where to draw; new axes where it is None.

    Raises:
        InputError: There are not as many labels or colors as boxes, the boxes are not in the unit, or the
            image is none.

    Example:
        >>> from PIL import Image
        >>> ax = draw_boxes(Image.new("RGB", (40, 20)), torch.tensor([[0.1, 0.1, 0.5, 0.9]]), ["a dog"])
    """
    boxes = torch.as_tensor(boxes, dtype=torch.float32)
    for name, given in (("labels", labels), ("colors", colors)):
        if given is not None and len(given) != len(boxes):
            raise InputError(f"{len(given)} {name} for {len(boxes)} boxes: expected one a box.")
    ax = draw_image(image, ax=ax)
    height, width = pixels(image).shape[:2]
    for i, (x1, y1, x2, y2) in enumerate(boxes_in_pixels(boxes, unit, (width, height)).tolist()):
        color = colors[i] if colors is not None else PALETTE[i % len(PALETTE)]
        xs, ys = np.array([x1, x2, x2, x1, x1]) - 0.5, np.array([y1, y1, y2, y2, y1]) - 0.5
        ax.plot(xs, ys, color=color, linewidth=2)
        if labels is not None:
            x, side = (x1, "left") if x1 + x2 < width else (x2, "right")  # long labels stay in the image
            box = {"facecolor": color, "edgecolor": "none", "pad": 1.5, "alpha": 0.85}
            ax.text(x, max(y1, 0), labels[i], color="white", fontsize=8, ha=side, va="bottom", bbox=box)
    return ax
