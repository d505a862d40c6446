"""Zero-shot segmentation of the data sets that papers report, each in the layout of its release."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from harmoclip.data.formats.files import first_existing
from harmoclip.errors import DataError, InputError
from harmoclip.evaluate.coco_boxes import spoken
from harmoclip.evaluate.segmentation import IGNORED, segmentation
from harmoclip.evaluate.task import Request, Task
from harmoclip.images import open_image
from harmoclip.windows import Windows

Names = Callable[[Path], Sequence[str]]

VOC = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "dining table",
    "dog", "horse", "motorbike", "person", "potted plant", "sheep", "sofa", "train", "television monitor",
)  # fmt: skip
CONTEXT = (
    "aeroplane", "bag", "bed", "bedclothes", "bench", "bicycle", "bird", "boat", "book", "bottle",
    "building", "bus", "cabinet", "car", "cat", "ceiling", "chair", "cloth", "computer", "cow", "cup",
    "curtain", "dog", "door", "fence", "floor", "flower", "food", "grass", "ground", "horse", "keyboard",
    "light", "motorbike", "mountain", "mouse", "person", "plate", "platform", "potted plant", "road",
    "rock", "sheep", "shelves", "sidewalk", "sign", "sky", "snow", "sofa", "table", "track", "train",
    "tree", "truck", "television monitor", "wall", "water", "window", "wood",
)  # fmt: skip
CITYSCAPES = (
    "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation",
    "terrain", "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
)  # fmt: skip
# what stands for everything that is no object, in the manner of SCLIP
_NO_OBJECT = (
    "background, wall, sky, tree, wood, grass, road, sea, river, mountain, ground, building, floor, water"
)
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
        zero: Label 0 is the first `class`, the `background` with names of its own, or `ignored`.
    """

    images: tuple[str, ...]
    labels: tuple[str, ...]
    ending: str
    label_ending: str
    names: Names
    listed: str | None = None
    zero: str = "class"


def _fixed(names: Sequence[str]) -> Names:
    return lambda root: names


def _ade_names(root: Path) -> list[str]:
    """The 150 names of `objectInfo150.txt`: the last column, its first synonym."""
    lines = _lines(root, "objectInfo150.txt")[1:]
    return [line.split("\t")[-1].split(",")[0].strip() for line in lines if line.strip()]


def _stuff_names(root: Path) -> list[str]:
    """The names of COCO-Stuff's `labels.txt`, `1: person`, from 1; those without a pixel are empty."""
    rows = [line.split(": ", 1) for line in _lines(root, "labels.txt") if ": " in line]
    return ["" if name in _UNUSED else spoken(name) for number, name in rows if number != "0"]


def _lines(root: Path, name: str) -> list[str]:
    path = first_existing(root, name, expected="the file with the class names, as the data set was released")
    return path.read_text(encoding="utf-8").splitlines()


_VOC_FOLDERS = (("JPEGImages",), ("SegmentationClass", "SegmentationClassAug"), ".jpg", ".png")
_CONTEXT_FOLDERS = (("JPEGImages",), ("SegmentationClassContext",), ".jpg", ".png")
LAYOUTS = {
    "voc21": Layout(*_VOC_FOLDERS, _fixed(VOC), "ImageSets/Segmentation/val.txt", "background"),
    "voc20": Layout(*_VOC_FOLDERS, _fixed(VOC), "ImageSets/Segmentation/val.txt", "ignored"),
    "context60": Layout(
        *_CONTEXT_FOLDERS, _fixed(CONTEXT), "ImageSets/SegmentationContext/val.txt", "background"
    ),
    "context59": Layout(
        *_CONTEXT_FOLDERS, _fixed(CONTEXT), "ImageSets/SegmentationContext/val.txt", "ignored"
    ),
    "ade20k": Layout(
        ("images/validation",), ("annotations/validation",), ".jpg", ".png", _ade_names, zero="ignored"
    ),
    "cityscapes": Layout(
        ("leftImg8bit/val",),
        ("gtFine/val",),
        "_leftImg8bit.png",
        "_gtFine_labelTrainIds.png",
        _fixed(CITYSCAPES),
    ),
    "coco-stuff": Layout(
        ("val2017", "images/val2017"),
        ("stuffthingmaps/val2017", "annotations/val2017"),
        ".jpg",
        ".png",
        _stuff_names,
    ),
}


class SegmentedImages:
    """The images of a data set with the class of each pixel; see `harmoclip.evaluate.segmentation`.

    Args:
        root: The folder of the release.
        layout: Where its parts are.

    Raises:
        DataError: A folder is missing, or no image has labels.
    """

    def __init__(self, root: Path, layout: Layout) -> None:
        self.layout = layout
        images = first_existing(root, *layout.images, expected="the images as released")
        labels = first_existing(root, *layout.labels, expected="the labels as released")
        self._files = _pairs(images, labels, _listed(root, layout), layout)
        background = (_NO_OBJECT,) if layout.zero == "background" else ()
        self.class_names: Sequence[str] = (*background, *layout.names(root))
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
        if self.layout.zero == "ignored":
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
    data = SegmentedImages(request.path, LAYOUTS[request.split])
    name = f"segmentation, {request.split}"
    return [Task(name, "regions", lambda encoder: segmentation(encoder, data, Windows()))]


def _listed(root: Path, layout: Layout) -> set[str] | None:
    if layout.listed is None or not (root / layout.listed).exists():
        return None
    return set((root / layout.listed).read_text(encoding="utf-8").split())


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
