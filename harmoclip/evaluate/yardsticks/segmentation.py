"""Zero-shot segmentation of the data sets that papers report, each in the layout of its release."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from harmoclip.data.formats.files import first_existing
from harmoclip.errors import DataError, InputError
from harmoclip.evaluate.coco_boxes import spoken_class
from harmoclip.evaluate.segmentation import IGNORED, Background, segmentation
from harmoclip.evaluate.task import Request, Task
from harmoclip.evaluate.yardsticks.segmentation_names import (
    CITYSCAPES,
    COCO_OBJECT,
    COCO_STUFF,
    CONTEXT,
    NO_OBJECT,
    VOC,
)
from harmoclip.images import open_image
from harmoclip.prompts import checked_prompts
from harmoclip.windows import Windows

Names = Callable[[Path], Sequence[str]]

# classes that COCO-Stuff lists and has no pixel of
_UNUSED = {
    "street sign", "hat", "shoe", "eye glasses", "plate", "mirror", "window", "desk", "door", "blender",
    "hair brush",
}  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """Where a data set keeps its images and labels, and what its label 0 is.

    Args:
        images: Folders that may have the images.
        labels: Folders that may have the label images, in the same order of preference.
        ending: Of an image's file name; `label_ending` takes its place in its labels' name.
        label_ending: Of a label image's file name.
        names: The class names, from the root.
        listed: A file below the root that lists the images of a split; None takes all images.
        asks_zero: Whether label 0 is a class; where it is not, the classes count from 1.
        no_object: The names of label 0, where it is the background.
        background: When a pixel is background whatever its most similar name is.
        short_side: What images are resized to.
    """

    images: tuple[str, ...]
    labels: tuple[str, ...]
    ending: str
    label_ending: str
    names: Names
    listed: str | None = None
    asks_zero: bool = True
    no_object: str | None = None
    background: Background | None = None
    short_side: int = 336


def _fixed(names: Sequence[str]) -> Names:
    return lambda root: names


def _ade_names(root: Path) -> list[str]:
    """The 150 names of `objectInfo150.txt`: the last column, its first synonym."""
    lines = _lines(root, "objectInfo150.txt")[1:]
    return [line.split("\t")[-1].split(",")[0].strip() for line in lines if line.strip()]


def _stuff_names(root: Path) -> list[str]:
    """The names of COCO-Stuff's `labels.txt`, `1: person`, from 1; those without a pixel are empty."""
    rows = [line.split(": ", 1) for line in _lines(root, "labels.txt") if ": " in line]
    return ["" if name in _UNUSED else spoken_class(name) for number, name in rows if number != "0"]


def _lines(root: Path, name: str) -> list[str]:
    path = first_existing(root, name, expected="the file with the class names, as the data set was released")
    return path.read_text(encoding="utf-8").splitlines()


_VOC = partial(
    Layout, ("JPEGImages",), ("SegmentationClass", "SegmentationClassAug"), ".jpg", ".png", _fixed(VOC),
    "ImageSets/Segmentation/val.txt",
)  # fmt: skip
_CONTEXT = partial(
    Layout, ("JPEGImages",), ("SegmentationClassContext",), ".jpg", ".png", _fixed(CONTEXT),
    "ImageSets/SegmentationContext/val.txt",
)  # fmt: skip
_COCO = partial(Layout, ("val2017", "images/val2017"))
LAYOUTS = {
    "voc21": _VOC(no_object=NO_OBJECT, background=Background(65, 0.1, 0.1)),
    "voc20": _VOC(asks_zero=False),
    "context60": _CONTEXT(no_object="background", background=Background(50, 0.1)),
    "context59": _CONTEXT(asks_zero=False),
    "ade20k": Layout(
        ("images/validation",), ("annotations/validation",), ".jpg", ".png", _ade_names, asks_zero=False
    ),
    "cityscapes": Layout(
        ("leftImg8bit/val",),
        ("gtFine/val",),
        "_leftImg8bit.png",
        "_gtFine_labelTrainIds.png",
        _fixed(CITYSCAPES),
        short_side=560,
    ),
    "coco-stuff": _COCO(
        ("stuffthingmaps/val2017", "annotations/val2017"), ".jpg", ".png", _stuff_names, short_side=448
    ),
    "coco-stuff171": _COCO(
        ("annotations/val2017",), ".jpg", "_labelTrainIds.png", _fixed(COCO_STUFF), short_side=448
    ),
    "coco-object": _COCO(
        ("annotations/val2017",),
        ".jpg",
        "_instanceTrainIds.png",
        _fixed(COCO_OBJECT),
        no_object=NO_OBJECT,
        background=Background(50, 0.1),
    ),
}
OPTIONS: dict[str, Callable[[str], Any]] = {
    "names": Path, "prompts": checked_prompts, "short_side": int, "window": int, "stride": int,
}  # fmt: skip


class SegmentedImages:
    """The images of a data set with the class of each pixel; see `harmoclip.evaluate.segmentation`.

    Args:
        root: The folder of the release.
        layout: Where its parts are.
        names: A file with the names of each class on a line, in place of the published ones; where label 0 is
            the background, its line is the first.
        images: The folder of the images, where it is not in its usual place.

    Raises:
        DataError: A folder or the list of images is missing, or no image has labels.
    """

    def __init__(
        self, root: Path, layout: Layout, names: Path | None = None, images: Path | None = None
    ) -> None:
        self.layout = layout
        images = images or first_existing(root, *layout.images, expected="the images as released")
        labels = first_existing(root, *layout.labels, expected="the labels as released")
        self._files = _pairs(images, labels, _listed(root, layout), layout)
        zero = () if layout.no_object is None else (layout.no_object,)
        self.class_names: Sequence[str] = (
            (*zero, *layout.names(root)) if names is None else _lines(names.parent, names.name)
        )
        if not any(self.class_names):
            raise DataError(f"{names or root} names no class: expected a class a line.")
        if not self._files:
            raise DataError(f"{images} has no image *{layout.ending} with labels in {labels}.")

    def __len__(self) -> int:
        return len(self._files)

    def image(self, index: int) -> Image.Image:
        """An image in RGB."""
        return open_image(self._files[index][0])

    def labels(self, index: int) -> Tensor:
        """The class `[H, W]` of each pixel, 255 where none is asked."""
        path = self._files[index][1]
        try:
            with Image.open(path) as image:
                labels = torch.from_numpy(np.array(image, dtype=np.int64))
        except (OSError, ValueError) as error:
            raise DataError(f"labels {path} cannot be read: {error}.") from error
        if labels.ndim != 2:
            raise DataError(f"{path} is an image in color: expected one number a pixel, the class.")
        if not self.layout.asks_zero:
            return torch.where((labels == 0) | (labels == IGNORED), IGNORED, labels - 1)
        return labels


def tasks(request: Request) -> list[Task]:
    """One data set, which the split names.

    Raises:
        InputError: The split names none.
        DataError: The folder is not in its layout.
    """
    if request.split not in LAYOUTS:
        raise InputError(
            f"segmentation is of {request.split!r}: expected one of {', '.join(LAYOUTS)}, as in "
            "segmentation:voc20=DIR."
        )
    layout, told = LAYOUTS[request.split], request.read_options(OPTIONS)
    data = SegmentedImages(request.path, layout, told.pop("names", None), request.images)
    prompts = told.pop("prompts", "imagenet")
    windows = Windows(**{"short_side": layout.short_side, **told})
    return [
        Task(
            f"segmentation, {request.split}",
            "regions",
            lambda encoder: segmentation(encoder, data, windows, prompts, layout.background),
        )
    ]


def _listed(root: Path, layout: Layout) -> set[str] | None:
    if layout.listed is None:
        return None
    path = first_existing(root, layout.listed, expected="the names of the images of the published split")
    return set(path.read_text(encoding="utf-8").split())


def _pairs(images: Path, labels: Path, listed: set[str] | None, layout: Layout) -> list[tuple[Path, Path]]:
    """Each image with its labels; an error where an image that is listed has none."""
    found = []
    for path in sorted(images.rglob(f"*{layout.ending}")):
        name = path.name.removesuffix(layout.ending)
        own = labels / path.relative_to(images).with_name(name + layout.label_ending)
        if (listed is None and own.exists()) or (listed is not None and name in listed):
            if not own.exists():
                raise DataError(f"{path} has no labels: expected {own}.")
            found.append((path, own))
    return found
