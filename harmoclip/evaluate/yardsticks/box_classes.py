"""Boxes named among the classes of a data set in COCO's format: ADE20K, COCO-Stuff, Objects365 and others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from harmoclip.data.formats.files import first_existing
from harmoclip.errors import InputError, unknown_name
from harmoclip.evaluate.boxes import (
    NamedBoxes,
    box_scores,
    clipself_scores,
    fgclip_scores,
    fineclip_scores,
    size_scores,
)
from harmoclip.evaluate.coco_boxes import CocoBoxes
from harmoclip.evaluate.metrics import Metrics
from harmoclip.evaluate.task import Request, Task
from harmoclip.evaluate.yardsticks.common import boxes_task
from harmoclip.prompts import Prompts, checked_prompts

Scores = tuple[Callable[[NamedBoxes], Metrics], ...]


class Protocol(NamedTuple):
    """How a data set's boxes are published.

    Attributes:
        annotations: Files that may hold them, from the data set's folder.
        images: Folders that may have the images.
        scores: How they are counted.
        prompts: The sentences that stand for a class.
        segments: The folder of panoptic PNG files, where there are some.
        limits: The sides of squares that boxes are not smaller and not larger than.
        most: The first boxes of an image that are kept.
        without: Names of categories that are no class.
    """

    annotations: tuple[str, ...]
    images: tuple[str, ...]
    scores: Scores = (box_scores,)
    prompts: Prompts = "vild"
    segments: str | None = None
    limits: tuple[float, float] = (0, float("inf"))
    most: int | None = None
    without: tuple[str, ...] = ()


def _either(*names: str) -> tuple[str, ...]:
    """The names in the folder and in its `annotations/`."""
    return (*names, *(f"annotations/{name}" for name in names))


PROTOCOLS = {
    "ade20k": Protocol(
        ("ade20k_panoptic_val.json",), ("images/validation",), (clipself_scores, fineclip_scores),
        segments="ade20k_panoptic_val", limits=(8, 1024), most=100,
    ),
    "coco-stuff": Protocol(_either("stuff_val2017.json"), ("val2017", "images/val2017"), without=("other",)),
    "objects365": Protocol(_either("zhiyuan_objv2_val.json"), ("val", "images", ".")),
    "v3det": Protocol(_either("v3det_2023_v1_val.json"), (".",), prompts="photo"),
    "boxclass": Protocol(
        ("jsonfile/valid_category_data_total_zh.json", "valid_category_data_total_zh.json"), ("images",),
        (fgclip_scores,), prompts="name",
    ),
}  # fmt: skip


def tasks(request: Request) -> list[Task]:
    """The boxes of a data set that the split names, or of any file in COCO's format.

    Raises:
        InputError: The split names no data set.
        DataError: The folder is not in its layout.
    """
    prompts = request.read_options({"prompts": checked_prompts}).get("prompts")
    if request.split is None and request.path.suffix == ".json":
        data = CocoBoxes(request.path, request.images or request.path.parent)
        name = request.path.stem
        return [boxes_task(name, data, prompts or "vild", request.regions, box_scores, size_scores)]
    if request.split not in PROTOCOLS:
        what = "boxes are of" if request.split else "no data set is named, as in boxes:ade20k=DIR:"
        raise InputError(unknown_name(what, request.split, PROTOCOLS))
    known = PROTOCOLS[request.split]
    data = _opened(request.path, known, request.images)
    scores = (*known.scores, size_scores)
    return [boxes_task(request.split, data, prompts or known.prompts, request.regions, *scores)]


def _opened(root: Path, known: Protocol, images: Path | None) -> CocoBoxes:
    smallest, largest = known.limits
    return CocoBoxes(
        first_existing(root, *known.annotations, expected="the annotations as released"),
        images or first_existing(root, *known.images, expected="the images as released"),
        segments=None if known.segments is None else root / known.segments,
        smallest=smallest,
        largest=largest,
        most=known.most,
        without=known.without,
    )
