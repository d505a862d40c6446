"""From the four numbers of a data set's boxes to the boxes of a sample, and what is wrong with them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from harmoclip.boxes import Unit as Unit
from harmoclip.boxes import clip_boxes
from harmoclip.data.sample import follow
from harmoclip.errors import DataError, InputError, unknown_name

BoxFormat = Literal["xyxy", "xywh", "cxcywh"]
Corners = tuple[float, float, float, float]

_ROUNDING = 1.0
"""Pixels that an annotator's rounding may take a box over the edge, cut without a word."""
_FAR = 0.01
"""The share of the image's side that a box reaches over the edge where its format may be another."""


class PlacedBoxes(NamedTuple):
    """The boxes of one image that have an area inside it, and what became of the others."""

    boxes: Tensor
    """`[K, 4]` float32 xyxy, in [0, 1] of the image."""
    rows: list[int]
    """The row that each of them had."""
    dropped: dict[str, int]
    """How many were left out, by reason."""
    left_out: tuple[str, ...]
    """A message for each of them."""
    cut: tuple[str, ...]
    """A message for each box that left the image by more than rounding."""

    def links(self, links: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
        """The links (box, phrase) of the boxes that are left, by the rows that these have now."""
        return follow(links, self.rows)


def check_box_options(box_format: str, unit: str) -> None:
    """Raise an InputError where a box format or a unit is none of those known."""
    if box_format not in get_args(BoxFormat):
        raise InputError(unknown_name("box_format is", box_format, get_args(BoxFormat)))
    if unit not in get_args(Unit):
        raise InputError(unknown_name("unit is", unit, get_args(Unit)))


def place_boxes(
    boxes: Iterable[object],
    size: tuple[float, float],
    box_format: BoxFormat = "xyxy",
    *,
    where: str,
    names: Sequence[object] | None = None,
    pixels: tuple[float, float] | None = None,
) -> PlacedBoxes:
    """Boxes as a sample holds them: cut at the edges of the image, without those that have no area there.

    Args:
        boxes: Four numbers each, in the unit of `size`.
        size: Width and height that the boxes are relative to.
        box_format: What the four numbers are: two corners, a corner and a size, or a centre and a size.
        where: Names the image, for messages.
        names: Of each box, such as its annotation's id; by default its row.
        pixels: Width and height of the image in pixels, where `size` is another.

    Raises:
        DataError: A box has not four numbers, or the size is not positive.

    Example:
        >>> placed = place_boxes([[10, 0, 90, 5], [50, 0, 5, 5]], (40, 10), "xywh", where="a.jpg")
        >>> placed.boxes.tolist(), placed.left_out[0]
        ([[0.25, 0.0, 1.0, 0.5]], 'a.jpg: box 1 [50, 0, 5, 5] is left out: outside the image.')
    """
    given = list(boxes)
    corners = unit_boxes(given, size, box_format, where)
    placed = clip_boxes(corners)
    kept = placed.kept.tolist()
    over = [
        max(max(-x1, x2 - 1) * width, max(-y1, y2 - 1) * height)
        for width, height in [pixels or size]
        for x1, y1, x2, y2 in corners.tolist()
    ]

    def label(row: int) -> str:
        return f"{where}: box {row if names is None else names[row]} {_short(given[row])}"

    return PlacedBoxes(
        placed.boxes,
        kept,
        dict(Counter(placed.dropped.values())),
        tuple(f"{label(row)} is left out: {why}." for row, why in placed.dropped.items()),
        tuple(
            f"{label(row)} leaves the image: it is cut at the edge." for row in kept if over[row] > _ROUNDING
        ),
    )


def declared_boxes(
    boxes: object, image_size: tuple[int, int], box_format: BoxFormat, unit: Unit, *, where: str
) -> PlacedBoxes:
    """Boxes of a format and unit that a user declares, refused where the numbers contradict it.

    Args:
        boxes: A list of four numbers each.
        image_size: Width and height of the image in pixels.
        box_format: What the four numbers are said to be.
        unit: And what they are said to count: shares of the image's size, or its pixels.
        where: Names the image, for messages.

    Raises:
        DataError: They are no boxes, or are of another format or unit than is said.
    """
    if not isinstance(boxes, Sequence) or isinstance(boxes, str | bytes):
        raise DataError(f"{where}: boxes are {boxes!r:.80}: expected 4 numbers each.")
    size = (1, 1) if unit == "fraction" else image_size
    rows = [_numbers(box, where, row) for row, box in enumerate(boxes)]
    _check_unit(rows, box_format, unit, where)
    _check_format(rows, box_format, size, where)
    return place_boxes(rows, size, box_format, where=where, pixels=image_size)


def unit_boxes(
    boxes: Iterable[object], size: tuple[float, float], box_format: BoxFormat = "xyxy", where: str = ""
) -> Tensor:
    """Boxes `[R, 4]` float32 xyxy in [0, 1], as the data set has them: neither cut nor checked.

    Raises:
        DataError: A box has not four numbers, or the size is not positive.

    Example:
        >>> unit_boxes([[10, 0, 20, 5]], (40, 10), "xywh").tolist()
        [[0.25, 0.0, 0.75, 0.5]]
    """
    width, height = size
    if not min(size) > 0:
        raise DataError(f"{where}: the image is {width} x {height}: expected a positive size.")
    corners = [_corners(box_format, *_numbers(box, where, row)) for row, box in enumerate(boxes)]
    unit = [(x1 / width, y1 / height, x2 / width, y2 / height) for x1, y1, x2, y2 in corners]
    return torch.tensor(unit, dtype=torch.float32).view(-1, 4)


def is_box(value: object) -> bool:
    """Whether a value is a list of four numbers."""
    return isinstance(value, Sequence) and len(value) == 4 and all(is_number(number) for number in value)


def is_number(value: object) -> bool:
    """Whether a value is a number, and no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _numbers(box: object, where: str, row: int) -> Corners:
    if not is_box(box):
        raise DataError(f"{where}: box {row} is {box!r:.80}: expected 4 numbers each.")
    return tuple(box)  # type: ignore[arg-type, return-value]


def _corners(box_format: BoxFormat, a: float, b: float, c: float, d: float) -> Corners:
    """The two corners that the four numbers of a box say."""
    if box_format == "xyxy":
        return a, b, c, d
    if box_format == "cxcywh":
        a, b = a - c / 2, b - d / 2
    return a, b, a + c, b + d


def _check_unit(rows: Sequence[Corners], box_format: BoxFormat, unit: Unit, where: str) -> None:
    largest = max((abs(number) for row in rows for number in row if math.isfinite(number)), default=0)
    if unit == "fraction" and largest > 2:
        raise DataError(
            f"{where}: boxes reach {largest:.0f} times the image's size, such as {_short(rows[0])}: are "
            'these pixels? Give unit="pixel".'
        )
    solid = any(x1 < x2 and y1 < y2 for x1, y1, x2, y2 in (_corners(box_format, *row) for row in rows))
    if unit == "pixel" and solid and largest <= 1:
        raise DataError(
            f"{where}: no box is larger than one pixel, such as {_short(rows[0])}: are these fractions of "
            'the image\'s size? Give unit="fraction".'
        )


def _check_format(
    rows: Sequence[Corners], box_format: BoxFormat, size: tuple[float, float], where: str
) -> None:
    for number, (a, b, c, d) in enumerate(rows):
        if box_format == "xyxy" and (c < a or d < b):
            raise DataError(
                f"{where}: box {number} {_short(rows[number])} has its second corner before its first: are "
                'these xywh? Give box_format="xywh" (or "cxcywh").'
            )
    odd = [row for row in rows if box_format == "xywh" and _reads_as_corners(row, size)]
    if 2 * len(odd) > len(rows):
        raise DataError(
            f"{where}: {len(odd)} of {len(rows)} boxes, such as {_short(odd[0])}, leave the image as xywh "
            'and lie inside it as xyxy: are these xyxy? Give box_format="xyxy".'
        )


def _reads_as_corners(row: Corners, size: tuple[float, float]) -> bool:
    """Whether four numbers leave the image as a corner and a size, and lie inside it as two corners."""
    (x, y, c, d), (width, height) = row, size
    leaves = x + c > width * (1 + _FAR) or y + d > height * (1 + _FAR)
    return leaves and 0 <= x < c <= width * (1 + _FAR) and 0 <= y < d <= height * (1 + _FAR)


def _short(box: object) -> str:
    if isinstance(box, Sequence):
        return f"[{', '.join(f'{v:.6g}' if isinstance(v, float) else str(v) for v in box)}]"
    return repr(box)
