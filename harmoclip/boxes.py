"""The one rule of what a box is: xyxy in [0, 1] of its image, finite, x1 < x2 and y1 < y2, in float32."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

EDGE_TOLERANCE = 1e-4  # of the image: what rounding moves a box beyond the edge


class ClippedBoxes(NamedTuple):
    """The boxes that have some area inside their image, and what became of the others."""

    boxes: Tensor  # [K, 4] float32, in [0, 1]
    kept: Tensor  # [K] int64, the row that each of them had
    dropped: dict[int, str]  # row -> why it was left out


def clip_boxes(boxes: Tensor) -> ClippedBoxes:
    """Cut boxes at the edges of their image, and leave out those that have no area there.

    For boxes as data sets hold them. Where a box of the wrong kind is a mistake that must be told,
    `Grounding` raises an error instead.

    Args:
        boxes: `[R, 4]` xyxy as fractions of the image, of any floating dtype; any value is allowed.

    Returns:
        The boxes that are left, their rows, and for every other row the reason.

    Example:
        >>> clipped = clip_boxes(torch.tensor([[0.5, 0.5, 1.5, 0.75], [1.1, 0.0, 1.2, 1.0]]))
        >>> clipped.boxes.tolist(), clipped.dropped
        ([[0.5, 0.5, 1.0, 0.75]], {1: 'outside the image'})
    """
    given = boxes.float()
    clipped = given.clamp(0, 1)  # NaN stays NaN
    infinite = ~given.isfinite().all(1)
    bad = bad_boxes(clipped) | infinite
    return ClippedBoxes(
        clipped[~bad],
        (~bad).nonzero().flatten(),
        {row: _reason(given[row]) for row in bad.nonzero().flatten().tolist()},
    )


def snap_to_edges(boxes: Tensor) -> Tensor:
    """Boxes `[R, 4]` with coordinates up to `EDGE_TOLERANCE` beyond the edge moved onto it.

    Example:
        >>> snap_to_edges(torch.tensor([[-0.00001, 0.5, 1.00005, 1.5]])).tolist()
        [[0.0, 0.5, 1.0, 1.5]]
    """
    near = (boxes >= -EDGE_TOLERANCE) & (boxes <= 1 + EDGE_TOLERANCE)
    return torch.where(near, boxes.clamp(0, 1), boxes)


def bad_boxes(boxes: Tensor) -> Tensor:
    """`[R]` bool, which of the boxes `[R, 4]` are not finite, leave [0, 1] or have no area.

    Example:
        >>> bad_boxes(torch.tensor([[0.1, 0.1, 0.5, 0.5], [0.5, 0.1, 0.5, 0.5]]))
        tensor([False,  True])
    """
    inside = (boxes >= 0).all(1) & (boxes <= 1).all(1)  # False for NaN
    return ~(inside & (boxes[:, 0] < boxes[:, 2]) & (boxes[:, 1] < boxes[:, 3]))


def _reason(box: Tensor) -> str:
    x1, y1, x2, y2 = box.tolist()
    if not box.isfinite().all():
        return "not finite"
    if x1 > x2 or y1 > y2:
        return "its corners are swapped (expected x1 < x2 and y1 < y2)"
    return "no area" if x1 == x2 or y1 == y2 else "outside the image"
