"""Pictures of what a model sees; every function draws on Matplotlib axes and returns them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from harmoclip.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from PIL import Image

PALETTE = ("#0969da", "#cf222e", "#1a7f37", "#9a6700", "#8250df", "#bf3989", "#1b7c83", "#bc4c00")


def draw_boxes(
    image: Image.Image | Tensor,
    boxes: Tensor,
    labels: Sequence[str] | None = None,
    *,
    colors: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw boxes over an image, each with its label.

    Args:
        image: A PIL image, or a tensor `[3, H, W]`, uint8 or float in [0, 1].
        boxes: `[R, 4]` xyxy, in [0, 1] of the image.
        labels: One text a box.
        colors: One Matplotlib colour a box; a palette in turn where it is None.
        ax: Where to draw; new axes where it is None.

    Raises:
        InputError: There are not as many labels or colours as boxes.

    Example:
        >>> from PIL import Image
        >>> ax = draw_boxes(Image.new("RGB", (40, 20)), torch.tensor([[0.1, 0.1, 0.5, 0.9]]), ["a dog"])
    """
    for name, given in (("labels", labels), ("colors", colors)):
        if given is not None and len(given) != len(boxes):
            raise InputError(f"{len(given)} {name} for {len(boxes)} boxes: expected one a box.")
    ax = draw_image(image, ax=ax)
    height, width = pixels(image).shape[:2]
    for i, (x1, y1, x2, y2) in enumerate((boxes * boxes.new_tensor([width, height] * 2)).tolist()):
        color = colors[i] if colors is not None else PALETTE[i % len(PALETTE)]
        xs, ys = np.array([x1, x2, x2, x1, x1]) - 0.5, np.array([y1, y1, y2, y2, y1]) - 0.5
        ax.plot(xs, ys, color=color, linewidth=2)
        if labels is not None:
            x, side = (x1, "left") if x1 + x2 < width else (x2, "right")  # long labels stay in the image
            box = {"facecolor": color, "edgecolor": "none", "pad": 1.5, "alpha": 0.85}
            ax.text(x, max(y1, 0), labels[i], color="white", fontsize=8, ha=side, va="bottom", bbox=box)
    return ax


def draw_similarity(image: Image.Image | Tensor, similarity: Tensor, *, ax: Axes | None = None) -> Axes:
    """Lay a similarity map over a faded image, from its least value (dark) to its greatest (bright).

    Args:
        image: A PIL image, or a tensor `[3, H, W]`, uint8 or float in [0, 1].
        similarity: `[h, w]`, on any grid over the image.
        ax: Where to draw; new axes where it is None.

    Example:
        >>> from PIL import Image
        >>> ax = draw_similarity(Image.new("RGB", (40, 20)), torch.rand(7, 7))
    """
    ax = draw_image(image, ax=ax)
    height, width = pixels(image).shape[:2]
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    values = similarity.detach().float().cpu().numpy()
    ax.imshow(values, extent=extent, cmap="inferno", alpha=0.65, interpolation="bilinear")
    return ax


def draw_matrix(
    similarity: Tensor, regions: Sequence[str], phrases: Sequence[str], *, ax: Axes | None = None
) -> Axes:
    """Draw the similarities of regions (rows) and phrases (columns) with their values.

    Args:
        similarity: `[R, P]`.
        regions: One name a row.
        phrases: One name a column.
        ax: Where to draw; new axes where it is None.

    Raises:
        InputError: There are not as many names as rows or columns.

    Example:
        >>> ax = draw_matrix(torch.rand(1, 2), ["box 0"], ["a dog", "a cat"])
    """
    if tuple(similarity.shape) != (len(regions), len(phrases)):
        raise InputError(
            f"similarity is {list(similarity.shape)} for {len(regions)} regions and {len(phrases)} phrases."
        )
    ax = ax or _new_axes()
    values = similarity.detach().float().cpu().numpy()
    ax.imshow(values, cmap="viridis", aspect="auto")
    ax.set_xticks(range(len(phrases)), phrases, rotation=30, ha="right")
    ax.set_yticks(range(len(regions)), regions)
    middle = (values.min() + values.max()) / 2 if values.size else 0.0
    for (row, column), value in np.ndenumerate(values):
        color = "white" if value < middle else "black"
        ax.text(column, row, f"{value:.2f}", ha="center", va="center", color=color, fontsize=8)
    return ax


def draw_image(image: Image.Image | Tensor, *, ax: Axes | None = None) -> Axes:
    """Draw an image without ticks.

    Args:
        image: A PIL image, or a tensor `[3, H, W]`, uint8 or float in [0, 1].
        ax: Where to draw; new axes where it is None.
    """
    ax = ax or _new_axes()
    ax.imshow(pixels(image))
    ax.set_axis_off()
    return ax


def pixels(image: Image.Image | Tensor) -> np.ndarray:
    """The image as a uint8 array `[H, W, 3]`."""
    if not isinstance(image, Tensor):
        return np.asarray(image.convert("RGB"))
    if image.is_floating_point():
        image = (image.clamp(0, 1) * 255).round().to(torch.uint8)
    return image.permute(1, 2, 0).cpu().numpy()


def _new_axes() -> Axes:
    import matplotlib.pyplot as plt

    return plt.subplots(layout="constrained")[1]
