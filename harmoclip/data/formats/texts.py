"""Images with captions, and with texts of their own for boxes; the base of several data sets."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import torch
from torch.utils.data import Dataset

from harmoclip.data.dataset import Shown
from harmoclip.data.formats.boxes import BoxFormat, Unit, place_boxes
from harmoclip.data.formats.files import first_existing
from harmoclip.data.sample import Sample, image_identity
from harmoclip.images import open_image

Pairs = tuple[tuple[int, int], ...]


class Described(NamedTuple):
    """What the files of a data set say of one image."""

    files: tuple[str, ...]
    """The names that its file may have, from the folder of the images."""
    key: str
    caption: str = ""
    more_captions: tuple[str, ...] = ()
    boxes: Sequence[Sequence[float]] = ()
    right: Sequence[Sequence[str]] = ()
    """For each box the texts that describe it; none is fine."""
    wrong: Sequence[Sequence[str]] = ()
    """For each box texts that are known to be wrong; or nothing at all."""
    labels: Sequence[int] | None = None
    size: tuple[float, float] | None = None
    """Width and height that the annotations state."""
    names: Sequence[str] | None = None
    """Of each box, for messages."""


class DescribedImages(Shown, Dataset[Sample]):
    """One sample a row: the whole image's captions, and texts of their own linked to its boxes.

    Args:
        rows: What is said of each image.
        images: The folder that the names of files start from.
        layout: What is expected, for the message where an image is missing.
        box_format: What a box's four numbers are.
        unit: Of boxes.
        class_names: Of each label.
        once: Whether equal texts of an image are one phrase, rather than as many as they are.
        upright: Read images turned as their EXIF orientation says.

    Attributes:
        rows: What is said of each image.
        class_names: Of each label.
        is_thing: For each class whether it is of things: all are.
    """

    def __init__(
        self,
        rows: Sequence[Described],
        images: Path,
        layout: str,
        *,
        box_format: BoxFormat = "xyxy",
        unit: Unit = "pixel",
        class_names: Sequence[str] = (),
        once: bool = True,
        upright: bool = True,
    ) -> None:
        self.rows, self._images, self._layout, self._upright = rows, images, layout, upright
        self._box_format, self._unit, self._once = box_format, unit, once
        self.class_names = tuple(class_names)
        self.is_thing = (True,) * len(self.class_names)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Sample:
        row = self.rows[index]
        file = first_existing(self._images, *row.files, expected=self._layout)
        image = open_image(file, upright=self._upright, stated=row.size)
        placed = place_boxes(
            row.boxes,
            (1, 1) if self._unit == "fraction" else row.size or image.size,
            self._box_format,
            where=f"image {row.key!r}",
            names=row.names,
            pixels=image.size,
        )
        phrases, links, negatives = linked_texts(row.right, row.wrong, once=self._once)
        return Sample(
            image=image,
            caption=row.caption,
            boxes=placed.boxes,
            phrases=phrases,
            links=placed.links(links),
            negatives=placed.links(negatives),
            more_captions=row.more_captions,
            labels=None if row.labels is None else torch.tensor(row.labels, dtype=torch.int64)[placed.rows],
            key=row.key,
            dropped=placed.dropped,
            left_out=placed.left_out,
            cut=placed.cut,
        )

    @cached_property
    def image_ids(self) -> list[int]:
        """The `image_id` of every sample, whose images are not opened."""
        return [image_identity(row.key) for row in self.rows]


def linked_texts(
    right: Sequence[Sequence[str]], wrong: Sequence[Sequence[str]] = (), *, once: bool = True
) -> tuple[tuple[str, ...], Pairs, Pairs]:
    """The texts of boxes, with their links and their negatives.

    Args:
        right: For each box the texts that describe it.
        wrong: For each box those that do not.
        once: Whether equal texts are one phrase.

    Example:
        >>> linked_texts([["a hat", "a red hat"], ["a hat"]], [["a blue hat"]])
        (('a hat', 'a red hat', 'a blue hat'), ((0, 0), (0, 1), (1, 0)), ((0, 2),))
    """
    said = [(box, text) for box, own in enumerate(right) for text in own]
    denied = [(box, text) for box, own in enumerate(wrong) for text in own]
    texts = [text for _, text in (*said, *denied)]
    phrases = tuple(dict.fromkeys(texts)) if once else tuple(texts)
    row = {text: i for i, text in enumerate(phrases)}
    rows = [row[text] for text in texts] if once else range(len(texts))
    pairs = [(box, at) for (box, _), at in zip((*said, *denied), rows, strict=True)]
    return phrases, tuple(dict.fromkeys(pairs[: len(said)])), tuple(dict.fromkeys(pairs[len(said) :]))


def spoken(name: str) -> str:
    """The name of a class as it is said.

    Example:
        >>> spoken("bow_(decorative_ribbons)"), spoken("traffic_light")
        ('bow', 'traffic light')
    """
    return re.sub(r"_?\(.*?\)", "", name).replace("_", " ").strip()
