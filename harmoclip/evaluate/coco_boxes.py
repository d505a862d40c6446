"""The boxes of COCO's and LVIS's annotations as the published protocols take them."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from harmoclip.data import Sample
from harmoclip.data.formats.boxes import unit_boxes
from harmoclip.data.formats.entries import Entry, Id
from harmoclip.data.formats.files import read_json
from harmoclip.errors import DataError
from harmoclip.images import open_image


class CocoBoxes:
    """One sample an image, with its boxes and their classes; images without a box are left out.

    A panoptic segment gives its tight box. CLIPSelf's limits are `smallest=8, largest=1024, most=100`;
    FG-CLIP takes every box, crowds too.

    Args:
        annotations: `panoptic_val2017.json`, `instances_val2017.json` or `lvis_v1_val.json`.
        images: The folder of the images.
        segments: The folder of panoptic PNG files, for mask pooling.
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
    ) -> None:
        content = read_json(
            Path(annotations),
            "images",
            "annotations",
            "categories",
            expected="COCO's panoptic or instances file",
        )
        self.images, self.segments = Path(images), segments
        categories = sorted(content["categories"], key=lambda c: c["id"])
        self.class_names = tuple(spoken(c["name"]) for c in categories)
        self.is_thing = tuple(bool(c.get("isthing", 1)) for c in categories)
        self.frequency = tuple(c.get("frequency", "") for c in categories)
        self._class = {c["id"]: i for i, c in enumerate(categories)}
        found = _by_image(content["annotations"])
        _check_references(Path(annotations), content, found)
        self._rows = []
        for image in content["images"]:
            kept = [a for a in found[image["id"]] if not _beyond(a, smallest, largest)]
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
            image=open_image(self.images / name, stated=size),
            caption="",
            boxes=unit_boxes([_corner_and_size(b) for b in boxes], size, "xywh", name),
            labels=torch.tensor([self._class[b["category_id"]] for b in boxes]),
            key=name,
        )

    def annotation(self, index: int, row: int) -> object:
        """The id that the file gives to a box of a sample."""
        return self._rows[index][1][row].get("id")

    def masks(self, index: int) -> Tensor:
        """The segments of a sample's boxes, `[R, H, W]` bool, in pixels of the original image."""
        _, boxes = self._rows[index]
        if self.segments is None:
            raise DataError("mask pooling needs the folder of panoptic PNG files: give `segments`.")
        rgb = np.asarray(open_image(self.segments / boxes[0]["png"]), dtype=np.int64)
        ids = torch.from_numpy(rgb @ np.array([1, 256, 256**2]))
        return ids == torch.tensor([b["id"] for b in boxes])[:, None, None]


def file_name(image: Entry) -> str:
    """The file of an entry of `images`; LVIS gives its address, whose end is the split's folder and the file.

    Example:
        >>> file_name({"coco_url": "http://images.cocodataset.org/val2017/000000000009.jpg"})
        'val2017/000000000009.jpg'
    """
    return str(image.get("file_name") or "/".join(image["coco_url"].split("/")[-2:]))


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


def spoken(name: str) -> str:
    """COCO's and LVIS's own spellings as words.

    Example:
        >>> spoken("wall-other-merged"), spoken("bow_(decorative_ribbons)")
        ('wall', 'bow')
    """
    name = re.sub(r"_?\(.*?\)", "", name).replace("_", " ")
    return name.removesuffix("-merged").removesuffix("-other").replace("-stuff", "").replace("-", " ")
