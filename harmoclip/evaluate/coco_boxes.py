"""The boxes of COCO's panoptic or instance annotations as the published protocols take them."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harmoclip.data import Sample
from harmoclip.data.formats.files import open_image, read_json, unit_boxes
from harmoclip.errors import DataError


class CocoBoxes:
    """One sample an image, with its boxes and their classes; images without a box are left out.

    A panoptic segment gives its tight box. CLIPSelf's limits are `smallest=8, largest=1024, most=100`;
    FG-CLIP takes every box, crowds too.

    Args:
        annotations: `panoptic_val2017.json` or `instances_val2017.json`.
        images: The folder of the pictures.
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
        self.class_names = tuple(_clean(c["name"]) for c in categories)
        self.things = torch.tensor([bool(c.get("isthing", 1)) for c in categories])
        self._class = {c["id"]: i for i, c in enumerate(categories)}
        found = _by_image(content["annotations"])
        self._rows = []
        for image in content["images"]:
            kept = [a for a in found[image["id"]] if smallest**2 <= _area(a) <= largest**2 and _area(a) > 0]
            if kept:
                self._rows.append((image, kept[:most]))
        if segments is not None and not any("segments_info" in a for a in content["annotations"][:1]):
            raise DataError(f"{annotations} has no panoptic segments: mask pooling needs a panoptic file.")

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Sample:
        image, boxes = self._rows[index]
        corners = unit_boxes([b["bbox"] for b in boxes], (image["width"], image["height"]), "xywh")
        return Sample(
            image=open_image(self.images / image["file_name"]),
            caption="",
            boxes=corners.clamp(0, 1),
            labels=torch.tensor([self._class[b["category_id"]] for b in boxes]),
            key=image["file_name"],
        )

    def masks(self, index: int) -> Tensor:
        """The segments of a sample's boxes, `[R, H, W]` bool, in pixels of the original picture."""
        _, boxes = self._rows[index]
        if self.segments is None:
            raise DataError("mask pooling needs the folder of panoptic PNG files: give `segments`.")
        rgb = np.asarray(open_image(self.segments / boxes[0]["png"]), dtype=np.int64)
        ids = torch.from_numpy(rgb @ np.array([1, 256, 256**2]))
        return ids == torch.tensor([b["id"] for b in boxes])[:, None, None]


def _by_image(annotations: list[dict[str, Any]]) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for entry in annotations:
        segments = entry.get("segments_info")
        rows = [entry] if segments is None else [{**s, "png": entry["file_name"]} for s in segments]
        found[entry["image_id"]] += rows
    return found


def _area(box: dict[str, Any]) -> float:
    return float(box["bbox"][2] * box["bbox"][3])


def _clean(name: str) -> str:
    """COCO's own spellings, such as `wall-other-merged`, as words."""
    return name.removesuffix("-merged").removesuffix("-other").replace("-stuff", "").replace("-", " ")
