"""The one rule of what a box is: xyxy in [0, 1] of its image, finite, x1 < x2 and y1 < y2, in float32."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from harmoclip.errors import InputError

Unit = Literal["fraction", "pixel"]

EDGE_TOLERANCE = 1e-4  # of the image: what rounding moves a box beyond the edge
_FAR = 1.0  # images beyond the edge where no box in fractions of the image reaches


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
    boxes = torch.where((boxes < 0) & (boxes >= -EDGE_TOLERANCE), 0.0, boxes)
    return torch.where((boxes > 1) & (boxes <= 1 + EDGE_TOLERANCE), 1.0, boxes)


def bad_boxes(boxes: Tensor) -> Tensor:
    """`[R]` bool, which of the boxes `[R, 4]` are not finite, leave [0, 1] or have no area.

    Example:
        >>> bad_boxes(torch.tensor([[0.1, 0.1, 0.5, 0.5], [0.5, 0.1, 0.5, 0.5]]))
        tensor([False,  True])
    """
    inside = (boxes >= 0).all(1) & (boxes <= 1).all(1)  # False for NaN
    return ~(inside & (boxes[:, 0] < boxes[:, 2]) & (boxes[:, 1] < boxes[:, 3]))


def boxes_in_pixels(boxes: object, unit: Unit, size: tuple[int, int]) -> Tensor:
    """Boxes `[R, 4]` float32 xyxy in pixels of their image, from a unit that is named.

    Args:
        boxes: `[R, 4]` xyxy; a tensor, an array or lists.
        unit: A `fraction` of the image's width and height, or a `pixel` of it.
        size: Width and height of the image.

    Raises:
        InputError: The unit is unknown, they are no boxes, or they can only be in another unit.

    Example:
        >>> boxes_in_pixels([[0.5, 0, 1, 0.5]], "fraction", (40, 20)).tolist()
        [[20.0, 0.0, 40.0, 10.0]]
    """
    if unit not in get_args(Unit):
        raise InputError(f"unit is {unit!r}: expected 'fraction' or 'pixel'.")
    try:
        given = torch.as_tensor(boxes, dtype=torch.float32)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"boxes are {boxes!r:.80}: expected 4 numbers each, [R, 4].") from error
    given = given.reshape(-1, 4) if not given.numel() else given
    if given.ndim != 2 or given.shape[1] != 4:
        raise InputError(f"boxes have shape {list(given.shape)}: expected [R, 4].")
    limit = given.new_tensor([*size, *size])
    placed = given * limit if unit == "fraction" else given
    _check_unit(given, placed, unit, size)
    return placed


def _check_unit(boxes: Tensor, placed: Tensor, unit: Unit, size: tuple[int, int]) -> None:
    limit = boxes.new_tensor([*size, *size])
    wrong = ~((placed >= -_FAR * limit) & (placed <= (1 + _FAR) * limit)).all(1)  # NaN too
    if wrong.any():
        row = int(wrong.nonzero()[0])
        hint = " Give unit='pixel' if they are in pixels." if unit == "fraction" else ""
        raise InputError(
            f"boxes[{row}] is {boxes[row].tolist()} in the unit {unit!r}, far outside the image of {size[0]} "
            f"x {size[1]} pixels.{hint}"
        )
    if unit == "pixel" and len(boxes) and boxes.abs().max() <= 1 < min(size):
        raise InputError(
            "all boxes lie within one pixel: they are fractions of the image. Leave out unit='pixel'."
        )


def _reason(box: Tensor) -> str:
    x1, y1, x2, y2 = box.tolist()
    if not box.isfinite().all():
        return "not finite"
    if x1 > x2 or y1 > y2:
        return "its corners are swapped (expected x1 < x2 and y1 < y2)"
    return "no area" if x1 == x2 or y1 == y2 else "outside the image"
