"""Captions of images whose boxes have a category: the phrases are linked through the categories' names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import torch
from torch.utils.data import Dataset

from harmoclip.data.dataset import Shown
from harmoclip.data.formats.boxes import PlacedBoxes, place_boxes
from harmoclip.data.formats.entries import Entry, Id, labels_of
from harmoclip.data.linking.by_words import Link, WordLinker
from harmoclip.data.sample import Sample, image_identity
from harmoclip.images import open_image
from harmoclip.segment import CaptionSegmenter, Phrase
from harmoclip.segment.phrase import Segment


class Category(NamedTuple):
    """A class of boxes: what it is called, its own name first, and whether it is of things or stuff."""

    names: tuple[str, ...]
    is_thing: bool = True


class LinkShare(NamedTuple):
    """What linking reached."""

    boxes: float
    """The share of all boxes that at least one caption of their image names."""
    boxes_per_caption: float
    """The same, where each caption of an image is asked for all its boxes."""
    phrases: float
    """The share of phrases with a box."""


class CaptionedBoxes(Shown, Dataset[Sample]):
    """One sample a caption, with every box of its image; the base of the data sets in COCO's JSON.

    Boxes with `iscrowd` hold many things; only phrases for many are linked to them.

    Args:
        rows: An image's entry of COCO's `images` and one of its captions, for each sample.
        boxes: COCO's annotations with `category_id` and `bbox`, by the image's id.
        categories: By id.
        image_file: From an entry of `images` to the image's file.
        segment: From a caption to its phrases; by default a `CaptionSegmenter`, made when first needed.
        upright: Read images turned as their EXIF orientation says; see `open_image`.

    Attributes:
        class_names: Of each label, the categories in the order of their ids.
        is_thing: For each class whether it is of things rather than stuff.
    """

    def __init__(
        self,
        rows: Sequence[tuple[Entry, str]],
        boxes: Mapping[Id, list[Entry]],
        categories: Mapping[Id, Category],
        *,
        image_file: Callable[[Entry], Path],
        segment: Segment | None,
        upright: bool = True,
    ) -> None:
        self._rows, self._boxes = list(rows), defaultdict(list, boxes)
        self._image_file, self._segment, self._upright = image_file, segment, upright
        self._class = labels_of(categories)
        classes = [categories[key] for key in self._class]
        self.class_names = tuple(category.names[0] for category in classes)
        self.is_thing = tuple(category.is_thing for category in classes)
        self._linker = WordLinker([category.names for category in classes])

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Sample:
        image, caption = self._rows[index]
        boxes, placed = self._boxes_of(image)
        phrases = self.segment(caption)
        return Sample(
            image=open_image(self._image_file(image), upright=self._upright, stated=_size(image)),
            caption=caption,
            boxes=placed.boxes,
            phrases=tuple(phrases),
            links=tuple(self._links(phrases, boxes, placed)),
            labels=torch.tensor([self._class[box["category_id"]] for box in boxes], dtype=torch.int64),
            key=image["file_name"],
            dropped=placed.dropped,
            left_out=placed.left_out,
            cut=placed.cut,
        )

    def key(self, index: int) -> str:
        """The file name of a sample's image, which is not opened."""
        return str(self._rows[index][0]["file_name"])

    @cached_property
    def image_ids(self) -> list[int]:
        """The `image_id` of every sample, whose images are not opened."""
        return [image_identity(image["file_name"]) for image, _ in self._rows]

    @property
    def captions(self) -> list[str]:
        """The caption of every sample."""
        return [caption for _, caption in self._rows]

    @cached_property
    def segment(self) -> Segment:
        """From a caption to its phrases."""
        return CaptionSegmenter() if self._segment is None else self._segment

    def link_share(self) -> LinkShare:
        """Read and link every caption, without the images, and say how much was linked."""
        linked: dict[Id, set[int]] = defaultdict(set)
        seen: dict[Id, int] = {}
        asked = named = phrases_seen = phrases_linked = 0
        for image, caption in self._rows:
            boxes, placed = self._boxes_of(image)
            phrases = self.segment(caption)
            links = self._links(phrases, boxes, placed)
            rows = {row for row, _ in links}
            linked[image["id"]] |= rows
            seen[image["id"]] = len(boxes)
            asked, named = asked + len(boxes), named + len(rows)
            phrases_seen += len(phrases)
            phrases_linked += len({phrase for _, phrase in links})
        return LinkShare(
            boxes=sum(map(len, linked.values())) / max(sum(seen.values()), 1),
            boxes_per_caption=named / max(asked, 1),
            phrases=phrases_linked / max(phrases_seen, 1),
        )

    def _boxes_of(self, image: Entry) -> tuple[list[Entry], PlacedBoxes]:
        """The annotations of an image whose boxes have an area in it, and these boxes."""
        boxes = self._boxes[image["id"]]
        placed = place_boxes(
            [box["bbox"] for box in boxes],
            _size(image),
            "xywh",
            where=f"image {image['file_name']!r}",
            names=[f"of annotation {box.get('id', row)!r}" for row, box in enumerate(boxes)],
        )
        return [boxes[row] for row in placed.rows], placed

    def _links(self, phrases: Sequence[Phrase], boxes: list[Entry], placed: PlacedBoxes) -> list[Link]:
        return self._linker(
            phrases,
            [self._class[box["category_id"]] for box in boxes],
            (placed.boxes[:, 2:] - placed.boxes[:, :2]).prod(1).tolist(),
            [row for row, box in enumerate(boxes) if box.get("iscrowd")],
        )


def _size(image: Entry) -> tuple[float, float]:
    return image["width"], image["height"]
