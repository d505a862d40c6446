"""Images with their captions, from the published retrieval splits or from any samples of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, Self

import torch
from torch import Tensor

from harmoclip.data.formats.coco_json import read_captions, read_images
from harmoclip.data.formats.entries import Faults
from harmoclip.data.formats.files import read_json
from harmoclip.errors import DataError
from harmoclip.evaluate.samples import AnyImage, Samples
from harmoclip.images import open_image

CAPTIONS_PER_IMAGE = 5


class Captioned(NamedTuple):
    """A retrieval set: how to read image i, all captions, and the image `[M]` of each caption."""

    read: Callable[[int], AnyImage]
    images: int
    captions: list[str]
    image_of_text: Tensor

    @classmethod
    def of(cls, read: Callable[[int], AnyImage], captions: Iterable[list[str]]) -> Self:
        """From the list of captions of each image."""
        lists = list(captions)
        owner = [i for i, texts in enumerate(lists) for _ in texts]
        flat = [text for texts in lists for text in texts]
        return cls(read, len(lists), flat, torch.tensor(owner, dtype=torch.int64))

    @classmethod
    def karpathy(cls, path: Path, images: Path, split: str = "test") -> Self:
        """A split of Karpathy's `dataset_coco.json` or `dataset_flickr30k.json`, five captions an image.

        Args:
            path: The JSON file.
            images: The folder that its file names start from; COCO's `val2014/` is tried too.
            split: `test` has 5,000 images of COCO and 1,000 of Flickr30k.

        Raises:
            DataError: The file is missing or no such split is in it.
        """
        rows = [
            row
            for row in read_json(Path(path), "images", expected="Karpathy's splits")["images"]
            if row["split"] == split
        ]
        if not rows:
            raise DataError(f"{path} has no images of split {split!r}.")
        files = [_existing(images, row.get("filepath", ""), row["filename"]) for row in rows]
        captions = ([s["raw"].strip() for s in row["sentences"]][:CAPTIONS_PER_IMAGE] for row in rows)
        return cls.of(lambda i: open_image(files[i]), captions)

    @classmethod
    def coco(cls, path: Path, images: Path) -> Self:
        """All images of a `captions_*.json` of COCO, such as val2017, five captions an image.

        Args:
            path: The JSON file.
            images: The folder of the images.

        Raises:
            DataError: The file is missing or is no such file, or captions are no text or of no image listed.
        """
        content = read_json(Path(path), "images", "annotations", expected="COCO's captions")
        name, faults = Path(path).name, Faults()
        listed = read_images(content["images"], name, faults)
        texts: dict[str, list[str]] = {}
        for image, caption in read_captions(content["annotations"], listed, name, faults):
            texts.setdefault(image["file_name"], []).append(caption.strip())
        faults.raise_any()
        files = [_existing(images, file) for file in texts]
        return cls.of(lambda i: open_image(files[i]), (own[:CAPTIONS_PER_IMAGE] for own in texts.values()))

    @classmethod
    def samples(cls, samples: Samples) -> Self:
        """Any data set of ours; samples of the same `image_id` are captions of one image.

        Samples without a caption take no part.

        Raises:
            DataError: No sample has a caption.
        """
        return cls.by_image(
            samples, ((s.image_id, s.caption) for s in (samples[i] for i in range(len(samples))))
        )

    @classmethod
    def by_image(cls, samples: Samples, captions: Iterable[tuple[object, str]]) -> Self:
        """The same with the image's identity and the caption of each sample as they are given.

        Raises:
            DataError: None has words.
        """
        first: dict[object, int] = {}
        texts: dict[object, list[str]] = {}
        for row, (image_id, caption) in enumerate(captions):
            if caption.strip():
                image = f"sample {row}" if image_id is None else image_id
                first.setdefault(image, row)
                texts.setdefault(image, []).append(caption)
        if not first:
            raise DataError(f"none of {len(samples)} samples has a caption: retrieval cannot be measured.")
        rows = list(first.values())
        return cls.of(lambda i: samples[rows[i]].image, texts.values())


def _existing(folder: Path, *parts: str) -> Path:
    """The file in the folder, with or without the sub-folder that the annotations name."""
    for path in (Path(folder).joinpath(*parts), Path(folder) / parts[-1]):
        if path.exists():
            return path
    raise DataError(f"{Path(folder).joinpath(*parts)} does not exist: expected the images in {folder}.")
