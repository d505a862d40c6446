"""Many samples on one sheet, to look at what was linked."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from harmoclip.data.sample import Sample
from harmoclip.draw import PALETTE, draw_boxes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_UNLINKED = "#afb8c1"


def draw_sample(sample: Sample, *, ax: Axes | None = None) -> Axes:
    """Draw a sample's boxes, each with its phrases in their color; boxes without a phrase are grey.

    The caption stands below.

    Args:
        sample: With a image, or a tensor with values in [0, 1].
        ax: Where to draw; new axes where it is None.

    Example:
        >>> import torch
        >>> from PIL import Image
        >>> boxes = torch.tensor([[0.1, 0.1, 0.5, 0.9]])
        >>> ax = draw_sample(Sample(Image.new("RGB", (40, 20)), "a dog", boxes, ((0, 5),), ((0, 0),)))
    """
    named: dict[int, list[int]] = {}
    for region, phrase in sample.links:
        named.setdefault(region, []).append(phrase)
    texts = sample.phrase_texts
    order = sorted(range(len(sample.boxes)), key=lambda row: row in named)  # grey below
    ax = draw_boxes(
        sample.image,
        sample.boxes[order].nan_to_num().clamp(-0.05, 1.05),  # what is outside is shown at the edge
        [" | ".join(texts[p] for p in named.get(row, [])) for row in order],
        colors=[PALETTE[named[row][0] % len(PALETTE)] if row in named else _UNLINKED for row in order],
        ax=ax,
    )
    ax.set_title(textwrap.fill(sample.caption.strip(), 46), fontsize=8, y=0, pad=-4, va="top")
    return ax


def contact_sheet(samples: Sequence[Sample], *, columns: int = 4) -> Figure:
    """A figure with every sample, see `draw_sample`.

    Args:
        samples: One or more.
        columns: How many stand side by side.
    """
    import matplotlib.pyplot as plt

    rows = -(-len(samples) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(4 * columns, 4.2 * rows), layout="constrained", squeeze=False
    )
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, sample in zip(axes.flat, samples, strict=False):
        draw_sample(sample, ax=ax)
    return figure
