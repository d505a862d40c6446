"""One image with its caption, its boxes, its phrases and the links between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self

import torch
from PIL import Image
from torch import Tensor

from harmoclip.errors import DataError


class SpanLike(Protocol):
    """What has character offsets into the caption, such as `harmoclip.segment.Phrase`."""

    @property
    def start(self) -> int:
        """The first character."""

    @property
    def end(self) -> int:
        """One past the last character."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One image and one caption; the type that every data set yields and every transform maps.

    Args:
        image: A PIL image, or a tensor `[3, H, W]`.
        caption: The text, exactly as the phrases' offsets count it.
        boxes: `[R, 4]` float32 xyxy, in [0, 1] of this image. As read: they may be impossible, until a
            transform drops them.
        phrases: Character spans `(start, end)` of the caption, half-open, or objects with `start` and `end`.
        links: Pairs (region, phrase), many-to-many.
        labels: `[R]` int64, each box's class in the data set's `class_names`, where it has classes.
        key: A name of the image for messages and file names.
        dropped: How many boxes earlier steps dropped.

    Raises:
        DataError: A shape is wrong, a span lies outside the caption, or a link points to nothing.

    Example:
        >>> image = Image.new("RGB", (40, 20))
        >>> sample = Sample(image, "a dog", torch.tensor([[0.1, 0.1, 0.5, 0.9]]), ((0, 5),), ((0, 0),))
        >>> sample.phrase_texts
        ('a dog',)
    """

    image: Image.Image | Tensor
    caption: str
    boxes: Tensor = field(default_factory=lambda: torch.empty(0, 4))
    phrases: tuple[tuple[int, int] | SpanLike, ...] = ()
    links: tuple[tuple[int, int], ...] = ()
    labels: Tensor | None = None
    key: str = ""
    dropped: int = 0

    def __post_init__(self) -> None:
        if self.boxes.ndim != 2 or self.boxes.shape[1] != 4 or self.boxes.dtype != torch.float32:
            raise DataError(
                f"{self._name}: boxes are {self.boxes.dtype} of shape {list(self.boxes.shape)}: "
                "expected float32 [R, 4], xyxy in [0, 1] of the image."
            )
        if self.labels is not None and len(self.labels) != len(self.boxes):
            raise DataError(f"{self._name}: {len(self.labels)} labels for {len(self.boxes)} boxes.")
        for start, end in self.spans:
            if not 0 <= start < end <= len(self.caption):
                raise DataError(
                    f"{self._name}: phrase ({start}, {end}) is not a part of the caption {self.caption!r}."
                )
        for region, phrase in self.links:
            if not (0 <= region < len(self.boxes) and 0 <= phrase < len(self.phrases)):
                raise DataError(
                    f"{self._name}: link ({region}, {phrase}) points to nothing; there are "
                    f"{len(self.boxes)} boxes and {len(self.phrases)} phrases."
                )

    @property
    def _name(self) -> str:
        return f"sample {self.key!r}" if self.key else "sample"

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """The phrases as plain character spans."""
        return tuple(p if isinstance(p, tuple) else (p.start, p.end) for p in self.phrases)

    @property
    def phrase_texts(self) -> tuple[str, ...]:
        """What the caption says at each phrase."""
        return tuple(self.caption[start:end] for start, end in self.spans)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the image in pixels."""
        if isinstance(self.image, Tensor):
            return self.image.shape[-1], self.image.shape[-2]
        return self.image.size

    def replace(self, **changes: Any) -> Self:
        """A checked copy with some fields replaced."""
        return replace(self, **changes)

    def keep_boxes(self, rows: Sequence[int]) -> Self:
        """The sample with these boxes only; links follow, and `dropped` counts the others."""
        if list(rows) == list(range(len(self.boxes))):
            return self
        new_row = {row: i for i, row in enumerate(rows)}
        return self.replace(
            boxes=self.boxes[list(rows)],
            labels=None if self.labels is None else self.labels[list(rows)],
            links=tuple((new_row[r], p) for r, p in self.links if r in new_row),
            dropped=self.dropped + len(self.boxes) - len(rows),
        )
