"""ARO (Yuksekgonul et al., arXiv 2210.01936): who does what to whom, and which attribute is whose."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image

from harmoclip.data.formats.entries import NUMBER, TEXT, Entry
from harmoclip.data.formats.files import first_existing, read_json
from harmoclip.errors import DataError
from harmoclip.evaluate.choices import choices
from harmoclip.evaluate.classification import macro
from harmoclip.evaluate.encoder import Encoder
from harmoclip.evaluate.metrics import Metric, Metrics
from harmoclip.evaluate.records import checked_entries
from harmoclip.evaluate.task import Request, Task
from harmoclip.evaluate.vectors import unit_vectors
from harmoclip.images import open_image

FILES = {"relation": "visual_genome_relation.json", "attribution": "visual_genome_attribution.json"}
_CORNER = ("bbox_x", "bbox_y", "bbox_w", "bbox_h")
_ENTRY = {"image_path": TEXT, "true_caption": TEXT, "false_caption": TEXT} | dict.fromkeys(_CORNER, NUMBER)
_LAYOUT = "ARO's visual_genome_relation.json or visual_genome_attribution.json, with images/"


@dataclass(frozen=True)
class Order:
    """Parts of images with a right caption and one whose words are exchanged.

    Args:
        rows: The entries of the file.
        images: The folder of the images.
    """

    rows: list[Entry]
    images: Path

    def read(self, index: int) -> Image.Image:
        """The part of an image that an entry is about."""
        row = self.rows[index]
        image = open_image(self.images / row["image_path"])
        x, y, width, height = (row[key] for key in _CORNER)
        return image.crop((x, y, x + width, y + height))

    def kind(self, index: int) -> str:
        """The relation, or both attributes, of an entry."""
        row = self.rows[index]
        return str(row.get("relation_name") or "_".join(row.get("attributes", [])))


def aro(encoder: Encoder, data: Order) -> Metrics:
    """How often a part of an image is more similar to its right caption than to the exchanged one.

    Returns:
        `aro_macro`, the mean over relations or attributes as published, `aro_top1` over all, `aro_count`.

    Raises:
        EvaluationError: Some vectors are not finite or all zeros.
    """
    vectors = encoder.image_vectors(data.read, len(data.rows), lambda i: str(data.rows[i]["image_path"]))
    right, wrong = ([row[key] for row in data.rows] for key in ("true_caption", "false_caption"))
    image = unit_vectors(vectors, "image vectors")
    cosine = [
        (image * unit_vectors(encoder.text_vectors(texts), "text vectors")).sum(1) for texts in (right, wrong)
    ]
    kinds = [data.kind(i) for i in range(len(data.rows))]
    number = {kind: i for i, kind in enumerate(dict.fromkeys(kinds))}
    mean = macro(cosine[0] > cosine[1], torch.tensor([number[kind] for kind in kinds]))
    found = choices(encoder, vectors, list(zip(right, wrong, strict=True)), "aro")
    return Metrics([Metric("aro_macro", mean, chance=0.5)]) | found.pick("aro_top1", "aro_count")


def tasks(request: Request) -> list[Task]:
    """A task for each of the files in the folder.

    Raises:
        DataError: There is none, or an entry lacks something.
    """
    root = request.path
    paths = {name: root / file for name, file in FILES.items() if (root / file).exists()}
    if not paths:
        raise DataError(f"{root} has no {' or '.join(FILES.values())}: expected {_LAYOUT}.")
    images = request.images or first_existing(root, "images", expected=_LAYOUT)
    return [_task(name, path, images) for name, path in paths.items()]


def _task(name: str, path: Path, images: Path) -> Task:
    rows = checked_entries(read_json(path, expected=_LAYOUT), _ENTRY, what="entry", path=path)
    if not rows:
        raise DataError(f"{path} is empty: expected {_LAYOUT}.")
    data = Order(rows, images)
    return Task(f"ARO {name}", "whole", lambda encoder: aro(encoder, data))
