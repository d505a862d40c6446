"""Whole images classified by their folder's name: what a model has forgotten."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import torch

from harmoclip.errors import DataError
from harmoclip.evaluate.classification import macro, micro, top_k
from harmoclip.evaluate.encoder import Encoder
from harmoclip.evaluate.metrics import Metric, Metrics
from harmoclip.images import open_image
from harmoclip.prompts import Prompts

_SYNSET = re.compile(r"n\d{8}")
IMAGES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}


class ClassFolder(NamedTuple):
    """A folder with one folder of images a class: the classes' names, the images, and the class of each."""

    names: list[str]
    files: list[Path]
    labels: list[int]
    left_out: tuple[str, ...]

    @classmethod
    def open(cls, folder: str | Path) -> ClassFolder:
        """List a folder; hidden files and folders are no part of it.

        A class without images stays among the classes to choose from. It is named in `left_out`, as are
        images that lie in no class's folder and names of folders that are not there.

        Args:
            folder: Its sub-folders are the classes; `class_names.txt` may give a line `folder<TAB>name` each.
                Folders that are all called by ImageNet's identifiers, such as `n01440764`, or 0 to 999 as in
                ImageNetV2, have the names that CLIP's authors gave them; any other name is its class's.

        Raises:
            DataError: There are no sub-folders with images.
        """
        root = Path(folder)
        found = _visible(root) if root.is_dir() else []
        folders = [path for path in found if path.is_dir()]
        images = [_images(sub) for sub in folders]
        if not any(images):
            raise DataError(f"{folder} has no sub-folders with images: expected one folder a class.")
        names = _names(root) or _imagenet_names([sub.name for sub in folders])
        empty = [
            f"class {sub.name!r}: its folder has no image"
            for sub, own in zip(folders, images, strict=True)
            if not own
        ]
        beside = [f"{path.name}: it lies in no class's folder" for path in found if _is_image(path)]
        return cls(
            [names.get(sub.name, sub.name) for sub in folders],
            [path for own in images for path in own],
            [label for label, own in enumerate(images) for _ in own],
            (*empty, *beside, *_unknown(names, folders)),
        )


def zero_shot(encoder: Encoder, folder: str | Path | ClassFolder, prompts: Prompts = "imagenet") -> Metrics:
    """Top-1 and Top-5 of the images of a class folder, one sub-folder a class.

    Args:
        encoder: The model.
        folder: See `ClassFolder.open`.
        prompts: The sentences that stand for a class.

    Raises:
        DataError: There are no sub-folders with images, or an image cannot be read.
        EvaluationError: Some vectors are not finite or all zeros.
    """
    data = folder if isinstance(folder, ClassFolder) else ClassFolder.open(folder)
    classes = encoder.class_vectors(data.names, prompts)
    vectors = encoder.image_vectors(
        lambda i: open_image(data.files[i]), len(data.files), lambda i: str(data.files[i])
    )
    labels, count = torch.tensor(data.labels), len(data.names)
    first, five = (top_k(vectors, classes, labels, k) for k in (1, 5))
    return Metrics(
        [
            Metric("zero_shot_top1", micro(first), chance=1 / count),
            Metric("zero_shot_top5", micro(five), chance=min(1, 5 / count)),
            Metric("zero_shot_macro_top1", macro(first, labels), chance=1 / count),
            Metric("zero_shot_images", len(labels), "count"),
        ],
        data.left_out,
    )


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _images(folder: Path) -> list[Path]:
    """All images below a folder, in order; nothing of hidden folders."""
    own = _visible(folder)
    return sorted(
        [p for p in own if _is_image(p)] + [image for p in own if p.is_dir() for image in _images(p)]
    )


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGES and path.is_file()


def _names(folder: Path) -> dict[str, str]:
    path = folder / "class_names.txt"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return {name: own for name, _, own in (line.partition("\t") for line in lines) if own}


def _imagenet_names(folders: list[str]) -> dict[str, str]:
    """The names of ImageNet's classes by folder, where all folders are classes of it."""
    numbers = set(map(str, range(1000)))
    if not numbers.issuperset(folders) and not all(map(_SYNSET.fullmatch, folders)):
        return {}
    from open_clip import IMAGENET_CLASSNAMES
    from timm.data import ImageNetInfo

    if set(folders) == numbers:
        return {str(i): name for i, name in enumerate(IMAGENET_CLASSNAMES)}
    names = dict(zip(ImageNetInfo().label_names(), IMAGENET_CLASSNAMES, strict=True))
    return {folder: names[folder] for folder in folders} if names.keys() >= set(folders) else {}


def _unknown(names: dict[str, str], folders: list[Path]) -> list[str]:
    """What `class_names.txt` says of folders that are not there."""
    there = {sub.name for sub in folders}
    return [
        f"class {name!r} of class_names.txt: there is no such folder" for name in names if name not in there
    ]
