"""An image on Matplotlib axes, from a file or from a tensor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from harmoclip.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from PIL import Image

PALETTE = ("#0969da", "#cf222e", "#1a7f37", "#9a6700", "#8250df", "#bf3989", "#1b7c83", "#bc4c00")
_OVERSHOOT = 0.1  # how far resampling may take values beyond [0, 1]


def draw_image(image: Image.Image | Tensor, *, ax: Axes | None = None) -> Axes:
    """Draw an image without ticks.

    Args:
        image: A PIL image, or a tensor `[3, H, W]`, uint8 or float in [0, 1].
        ax: Where to draw; new axes where it is None.

    Raises:
        InputError: It is no such image, such as one that a model's preprocessing has normalized.
    """
    ax = ax or new_axes()
    ax.imshow(pixels(image))
    ax.set_axis_off()
    return ax


def pixels(image: Any) -> np.ndarray:
    """The image as a uint8 array `[H, W, 3]`.

    Raises:
        InputError: It is neither a PIL image nor a tensor `[3, H, W]`, uint8 or float in [0, 1].
    """
    if not isinstance(image, Tensor):
        if not hasattr(image, "convert"):
            raise InputError(
                f"image is a {type(image).__name__}: expected a PIL image or a tensor [3, H, W]."
            )
        return np.asarray(image.convert("RGB"))
    if image.ndim != 3 or image.shape[0] != 3:
        raise InputError(f"image has shape {list(image.shape)}: expected [3, H, W], one image in color.")
    return rearrange(_bytes(image.detach().cpu()), "c h w -> h w c").numpy()


def new_axes() -> Axes:
    """Axes of a new figure."""
    import matplotlib.pyplot as plt

    return plt.subplots(layout="constrained")[1]


def row_of_axes(count: int, aspect: float = 1.0) -> list[Axes]:
    """Axes side by side in a new figure, for images of an aspect (width by height)."""
    import matplotlib.pyplot as plt

    height = 4.0
    size = (max(3.0, count * height * aspect), height + 0.4)
    return list(plt.subplots(1, count, squeeze=False, layout="constrained", figsize=size)[1][0])


def save(ax: Axes, path: str | Path) -> None:
    """Write the figure that axes belong to, and close it."""
    import matplotlib.pyplot as plt

    figure: Any = ax.figure
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _bytes(image: Tensor) -> Tensor:
    if image.dtype == torch.uint8:
        return image
    if not image.is_floating_point():
        raise InputError(f"image is {image.dtype}: expected uint8, or float in [0, 1].")
    low, high = (float(value) for value in image.float().aminmax()) if image.numel() else (0.0, 0.0)
    if not (low >= -_OVERSHOOT and high <= 1 + _OVERSHOOT):  # NaN too
        raise InputError(
            f"image has values from {low:.2f} to {high:.2f}: expected [0, 1]. Give the image before the "
            "model's preprocessing, or undo its normalization: image * std + mean."
        )
    return (image.float().clamp(0, 1) * 255).round().to(torch.uint8)
