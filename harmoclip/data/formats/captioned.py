"""Captions of pictures whose boxes have a category: the phrases are linked through the categories' names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.utils.data import Dataset

from harmoclip.data.formats.files import open_image, require, unit_boxes
from harmoclip.data.linking.by_words import Link, WordLinker
from harmoclip.data.sample import Sample
from harmoclip.errors import DataError
from harmoclip.segment import CaptionSegmenter, Phrase

Entry = dict[str, Any]
Segment = Callable[[str], Sequence[Phrase]]
_COCO = "COCO's JSON"


class LinkShare(NamedTuple):
    """What linking reached."""

    boxes: float
    """The share of all boxes that at least one caption of their picture names."""
    boxes_per_caption: float
    """The same, where each caption of a picture is asked for all its boxes."""
    phrases: float
    """The share of phrases with a box."""


class CaptionedBoxes(Dataset[Sample]):
    """One sample a caption, with every box of its picture; the base of the data sets in COCO's JSON.

    Pictures come in the order of the captions, each with all its captions. Boxes with `iscrowd` hold many
    things; only phrases for many are linked to them.

    Args:
        captions: COCO's `images` and `annotations` with captions.
        boxes: COCO's annotations with `image_id`, `category_id` and `bbox`.
        names: What each category is called, in the singular, its own name first.
        picture: From an entry of `images` to the picture's file.
        segment: From a caption to its phrases; by default a `CaptionSegmenter`, made when first needed.

    Raises:
        DataError: An entry lacks something, or a caption's picture or a box's category is not listed.
    """

    def __init__(
        self,
        captions: Mapping[str, Any],
        boxes: Iterable[Entry],
        names: Mapping[int, Sequence[str]],
        *,
        picture: Callable[[Entry], Path],
        segment: Segment | None,
    ) -> None:
        self._rows = _rows(captions)
        self._boxes: dict[int, list[Entry]] = defaultdict(list)
        for box in _checked(list(boxes), names):
            self._boxes[box["image_id"]].append(box)
        self._picture, self._segment = picture, segment
        self.class_names = tuple(own[0] for own in names.values())
        self._class = {category: number for number, category in enumerate(names)}
        self._linker = WordLinker(list(names.values()))

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Sample:
        image, caption = self._rows[index]
        boxes, phrases = self._boxes[image["id"]], self.segment(caption)
        return Sample(
            image=open_image(self._picture(image)),
            caption=caption,
            boxes=unit_boxes(
                [box["bbox"] for box in boxes], (image["width"], image["height"]), "xywh", image["file_name"]
            ),
            phrases=tuple(phrases),
            links=tuple(self._links(phrases, boxes)),
            labels=torch.tensor([self._class[box["category_id"]] for box in boxes], dtype=torch.int64),
            key=image["file_name"],
        )

    def key(self, index: int) -> str:
        """The file name of a sample's picture, which is not opened."""
        return str(self._rows[index][0]["file_name"])

    @property
    def captions(self) -> list[str]:
        """The caption of every sample."""
        return [caption for _, caption in self._rows]

    @cached_property
    def segment(self) -> Callable[[str], Sequence[Phrase]]:
        """From a caption to its phrases."""
        return CaptionSegmenter() if self._segment is None else self._segment

    def link_share(self) -> LinkShare:
        """Read and link every caption, without the pictures, and say how much was linked."""
        linked: dict[int, set[int]] = defaultdict(set)
        asked = named = phrases_seen = phrases_linked = 0
        for image, caption in self._rows:
            boxes, phrases = self._boxes[image["id"]], self.segment(caption)
            links = self._links(phrases, boxes)
            rows = {row for row, _ in links}
            linked[image["id"]] |= rows
            asked, named = asked + len(boxes), named + len(rows)
            phrases_seen, phrases_linked = (
                phrases_seen + len(phrases),
                phrases_linked + len({p for _, p in links}),
            )
        boxes_seen = sum(len(self._boxes[key]) for key in linked)
        return LinkShare(
            boxes=sum(map(len, linked.values())) / max(boxes_seen, 1),
            boxes_per_caption=named / max(asked, 1),
            phrases=phrases_linked / max(phrases_seen, 1),
        )

    def _links(self, phrases: Sequence[Phrase], boxes: list[dict[str, Any]]) -> list[Link]:
        return self._linker(
            phrases,
            [self._class[box["category_id"]] for box in boxes],
            [box["bbox"][2] * box["bbox"][3] for box in boxes],
            [row for row, box in enumerate(boxes) if box.get("iscrowd")],
        )


def _checked(boxes: list[Entry], names: Mapping[int, Sequence[str]]) -> list[Entry]:
    require(boxes, "image_id", "category_id", "bbox", what="box", expected=_COCO)
    for box in boxes:
        if box["category_id"] not in names:
            raise DataError(f"a box has the category {box['category_id']}, which the file does not list.")
    return boxes


def _rows(captions: Mapping[str, Any]) -> list[tuple[dict[str, Any], str]]:
    require(captions["images"], "id", "file_name", "width", "height", what="image", expected=_COCO)
    require(captions["annotations"], "image_id", "caption", what="caption", expected=_COCO)
    images = {image["id"]: image for image in captions["images"]}
    said: dict[int, list[str]] = {key: [] for key in images}
    for entry in captions["annotations"]:
        if entry["image_id"] not in images:
            raise DataError(
                f"caption {entry['caption']!r} is of picture {entry['image_id']}, which is not listed."
            )
        said[entry["image_id"]].append(entry["caption"])
    return [(images[key], caption) for key, own in said.items() for caption in own]
