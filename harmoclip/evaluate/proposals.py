"""A detector's boxes from a file in the format of COCO's results, as samples to encode."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from harmoclip.data import Sample
from harmoclip.data.formats.entries import BOX, ID
from harmoclip.data.formats.files import read_json
from harmoclip.errors import DataError
from harmoclip.evaluate.records import checked_entries
from harmoclip.evaluate.samples import AnyImage, to_pil

_EXPECTED = "COCO's results: a list of {image_id, bbox: [x, y, width, height] in pixels, score}"


class Proposals(NamedTuple):
    """The boxes of one image."""

    boxes: Tensor  # [N, 4] xyxy in pixels of the image
    scores: Tensor  # [N], 1 where the file has none


def read_proposals(path: Path) -> dict[str, Proposals]:
    """The boxes of each image, by its id as text.

    Raises:
        DataError: The file is missing, or an entry has no image or no box of four numbers.
    """
    entries = read_json(path, expected=_EXPECTED)
    if not isinstance(entries, list):
        raise DataError(f"{path} is no list: expected {_EXPECTED}.")
    if not entries:
        raise DataError(f"{path} has no proposal: expected {_EXPECTED}.")
    found: dict[str, list[tuple[list[float], float]]] = {}
    for entry in checked_entries(entries, {"image_id": ID, "bbox": BOX}, what="proposal", path=path):
        x, y, width, height = entry["bbox"]
        rows = found.setdefault(str(entry["image_id"]), [])
        rows.append(([x, y, x + width, y + height], float(entry.get("score", 1.0))))
    return {
        image: Proposals(
            torch.tensor([box for box, _ in rows], dtype=torch.float32),
            torch.tensor([score for _, score in rows]),
        )
        for image, rows in found.items()
    }


class ProposedBoxes:
    """One sample an image with its proposals as boxes.

    Args:
        images: The id of each image.
        read: Opens image i.
        proposals: By the image's id; an image without any has no box.
    """

    def __init__(
        self, images: Sequence[str], read: Callable[[int], AnyImage], proposals: dict[str, Proposals]
    ) -> None:
        self.images, self._read, self.proposals = images, read, proposals

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Sample:
        image, key = to_pil(self._read(index)), self.images[index]
        found = self.proposals.get(key)
        pixels = torch.empty(0, 4) if found is None else found.boxes
        return Sample(image, "", pixels / torch.tensor([*image.size, *image.size]), key=key)
