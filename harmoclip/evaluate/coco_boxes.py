"""The boxes of COCO's and LVIS's annotations as the published protocols take them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from harmoclip.data import Sample
from harmoclip.data.formats.boxes import unit_boxes
from harmoclip.data.formats.coco_json import file_name
from harmoclip.data.formats.entries import Entry, Id
from harmoclip.data.formats.files import read_json
from harmoclip.errors import DataError
from harmoclip.evaluate.masks import segment_mask
from harmoclip.images import open_image


class CocoBoxes:
    """One sample an image, with its boxes and their classes; images without a box are left out.

    A panoptic segment gives its tight box. CLIPSelf's limits are `smallest=8, largest=1024, most=100`;
    FG-CLIP takes every box, crowds too.

    Args:
        annotations: `panoptic_val2017.json`, `instances_val2017.json`, `lvis_v1_val.json` or the like.
        images: The folder that the images' names start from, or the one that has the images.
        segments: The folder of panoptic PNG files, for mask pooling.
        without: Names of categories that are no class, such as COCO-Stuff's `other`, with their boxes.
        smallest: Boxes with an area under the square of this many pixels are left out.
        largest: And those with more than the square of this many.
        most: The first boxes of an image that are kept.

    Raises:
        DataError: A file is missing, or the file is no such annotation.
    """

    def __init__(
        self,
        annotations: Path,
        images: Path,
        *,
        segments: Path | None = None,
        smallest: float = 0,
        largest: float = float("inf"),
        most: int | None = None,
        without: Sequence[str] = (),
    ) -> None:
        content = read_json(
            Path(annotations),
            "images",
            "annotations",
            "categories",
            expected="COCO's panoptic or instances file",
        )
        self.images, self.segments = Path(images), segments
        classes = [c for c in content["categories"] if c["name"] not in without]
        categories = sorted(classes, key=lambda c: c["id"])
        self.class_names = tuple(spoken_class(c["name"]) for c in categories)
        self.is_thing = tuple(bool(c.get("isthing", 1)) for c in categories)
        self.frequency = tuple(c.get("frequency", "") for c in categories)
        self._class = {c["id"]: i for i, c in enumerate(categories)}
        found = _by_image(content["annotations"])
        _check_references(Path(annotations), content, found)
        self._rows = []
        for image in content["images"]:
            own = [a for a in found[image["id"]] if a["category_id"] in self._class]
            kept = [a for a in own if not _beyond(a, smallest, largest)]
            if kept:
                self._rows.append((image, kept[:most]))
        if segments is not None and not any("segments_info" in a for a in content["annotations"][:1]):
            raise DataError(f"{annotations} has no panoptic segments: mask pooling needs a panoptic file.")

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Sample:
        image, boxes = self._rows[index]
        size, name = (image["width"], image["height"]), file_name(image)
        return Sample(
            image=open_image(_image_file(self.images, name), stated=size),
            caption="",
            boxes=unit_boxes([_corner_and_size(b) for b in boxes], size, "xywh", name),
            labels=torch.tensor([self._class[b["category_id"]] for b in boxes]),
            key=name,
        )

    def annotation(self, index: int, row: int) -> object:
        """The id that the file gives to a box of a sample."""
        return self._rows[index][1][row].get("id")

    @property
    def has_masks(self) -> bool:
        """Whether the first box has a segment: a panoptic one, polygons or run lengths."""
        return bool(self._rows) and (self.segments is not None or "segmentation" in self._rows[0][1][0])

    def masks(self, index: int) -> Tensor:
        """The segments of a sample's boxes, `[R, H, W]` bool, in pixels of the original image.

        Raises:
            DataError: A box has no segment, or one that cannot be read.
        """
        image, boxes = self._rows[index]
        if self.segments is None:
            size = (image["width"], image["height"])
            named = [(box.get("segmentation"), f"annotation {box.get('id')!r}") for box in boxes]
            return torch.stack([segment_mask(segmentation, size, where) for segmentation, where in named])
        rgb = np.asarray(open_image(self.segments / boxes[0]["png"]), dtype=np.int64)
        ids = torch.from_numpy(rgb @ np.array([1, 256, 256**2]))
        return ids == torch.tensor([b["id"] for b in boxes])[:, None, None]


def _image_file(folder: Path, name: str) -> Path:
    """The file of an image, with as many of the folders that its name has as there are."""
    parts = Path(name).parts
    places = [folder.joinpath(*parts[start:]) for start in range(len(parts))]
    return next((place for place in places if place.exists()), places[0])


def _by_image(annotations: list[Entry]) -> dict[Id, list[Entry]]:
    found: dict[Id, list[Entry]] = defaultdict(list)
    for entry in annotations:
        segments = entry.get("segments_info")
        rows = [entry] if segments is None else [{**s, "png": entry["file_name"]} for s in segments]
        found[entry["image_id"]] += rows
    return found


def _check_references(path: Path, content: Entry, found: dict[Id, list[Entry]]) -> None:
    """Raise a DataError unless every box is of an image and of a category that the file lists."""
    images = {image["id"] for image in content["images"]}
    categories = {category["id"] for category in content["categories"]}
    for image, boxes in found.items():
        for box in boxes:
            where = f"{path}: annotation {box.get('id')!r} is"
            if image not in images:
                raise DataError(f"{where} of image {image!r}, which is not listed in 'images'.")
            if box.get("category_id") not in categories:
                raise DataError(f"{where} of category {box.get('category_id')!r}, which is not listed.")


def _corner_and_size(box: Entry) -> list[float]:
    """A box's four numbers; all NaN, which no image contains, where the file has something else."""
    numbers = box.get("bbox")
    if isinstance(numbers, list) and len(numbers) == 4 and all(isinstance(n, int | float) for n in numbers):
        return numbers
    return [float("nan")] * 4


def _beyond(box: Entry, smallest: float, largest: float) -> bool:
    """Whether a box is smaller or larger than a protocol takes."""
    _, _, width, height = _corner_and_size(box)
    return width * height < smallest**2 or width * height > largest**2


def spoken_class(name: str) -> str:
    """COCO's, LVIS's and ADE20K's own spellings as words, the first of several names.

    Example:
        >>> spoken_class("wall-other-merged"), spoken_class("building, edifice")
        ('wall', 'building')
    """
    name = re.sub(r"_?\(.*?\)", "", name).replace("_", " ").partition(",")[0]
    return name.removesuffix("-merged").removesuffix("-other").replace("-stuff", "").replace("-", " ")
