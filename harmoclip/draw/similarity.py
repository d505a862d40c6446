"""Similarities: over an image, and of regions with phrases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from harmoclip.draw.images import draw_image, new_axes, pixels
from harmoclip.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from PIL import Image


def draw_similarity(image: Image.Image | Tensor, similarity: Tensor, *, ax: Axes | None = None) -> Axes:
    """Lay a similarity map over a faded image, from its least value (dark) to its greatest (bright).

    Args:
        image: A PIL image, or a tensor `[3, H, W]`, uint8 or float in [0, 1].
        similarity: `[h, w]`, on any grid over the image.
        ax: Where to draw; new axes where it is None.

    Raises:
        InputError: The image is none, or the similarity is not `[h, w]` or not finite.

    Example:
        >>> from PIL import Image
        >>> ax = draw_similarity(Image.new("RGB", (40, 20)), torch.rand(7, 7))
    """
    if similarity.ndim != 2 or not similarity.numel() or not similarity.isfinite().all():
        raise InputError(
            f"similarity is of shape {list(similarity.shape)}, {int((~similarity.isfinite()).sum())} of it "
            "not finite: expected finite values [h, w]."
        )
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
    ax = ax or new_axes()
    values = similarity.detach().float().cpu().numpy()
    ax.imshow(values, cmap="viridis", aspect="auto")
    ax.set_xticks(range(len(phrases)), phrases, rotation=30, ha="right")
    ax.set_yticks(range(len(regions)), regions)
    middle = (values.min() + values.max()) / 2 if values.size else 0.0
    for (row, column), value in np.ndenumerate(values):
        color = "white" if value < middle else "black"
        ax.text(column, row, f"{value:.2f}", ha="center", va="center", color=color, fontsize=8)
    return ax
