"""Pictures with their captions, from the published retrieval splits or from any samples of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, Self

import torch
from torch import Tensor

from harmoclip.data.formats.files import open_image, read_json
from harmoclip.errors import DataError
from harmoclip.evaluate.samples import Picture, Samples

CAPTIONS_PER_IMAGE = 5


class Captioned(NamedTuple):
    """A retrieval set: how to read picture i, all captions, and the picture `[M]` of each caption."""

    read: Callable[[int], Picture]
    images: int
    captions: list[str]
    image_of_text: Tensor

    @classmethod
    def of(cls, read: Callable[[int], Picture], captions: Iterable[list[str]]) -> Self:
        """From the list of captions of each picture."""
        lists = list(captions)
        owner = [i for i, texts in enumerate(lists) for _ in texts]
        flat = [text for texts in lists for text in texts]
        return cls(read, len(lists), flat, torch.tensor(owner, dtype=torch.int64))

    @classmethod
    def karpathy(cls, path: Path, images: Path, split: str = "test") -> Self:
        """A split of Karpathy's `dataset_coco.json` or `dataset_flickr30k.json`, five captions a picture.

        Args:
            path: The JSON file.
            images: The folder that its file names start from; COCO's `val2014/` is tried too.
            split: `test` has 5,000 pictures of COCO and 1,000 of Flickr30k.

        Raises:
            DataError: The file is missing or no such split is in it.
        """
        rows = [
            row
            for row in read_json(Path(path), "images", expected="Karpathy's splits")["images"]
            if row["split"] == split
        ]
        if not rows:
            raise DataError(f"{path} has no pictures of split {split!r}.")
        files = [_existing(images, row.get("filepath", ""), row["filename"]) for row in rows]
        captions = ([s["raw"].strip() for s in row["sentences"]][:CAPTIONS_PER_IMAGE] for row in rows)
        return cls.of(lambda i: open_image(files[i]), captions)

    @classmethod
    def coco(cls, path: Path, images: Path) -> Self:
        """All pictures of a `captions_*.json` of COCO, such as val2017, five captions a picture.

        Args:
            path: The JSON file.
            images: The folder of the pictures.

        Raises:
            DataError: The file is missing or is no such file.
        """
        content = read_json(Path(path), "images", "annotations", expected="COCO's captions")
        texts: dict[int, list[str]] = {}
        for row in content["annotations"]:
            texts.setdefault(row["image_id"], []).append(row["caption"].strip())
        rows = [row for row in content["images"] if row["id"] in texts]
        files = [_existing(images, row["file_name"]) for row in rows]
        return cls.of(lambda i: open_image(files[i]), (texts[row["id"]][:CAPTIONS_PER_IMAGE] for row in rows))

    @classmethod
    def samples(cls, samples: Samples) -> Self:
        """Any data set of ours; samples with the same key are captions of one picture."""
        first: dict[str, int] = {}
        captions: dict[str, list[str]] = {}
        for i in range(len(samples)):
            sample = samples[i]
            key = sample.key or str(i)
            first.setdefault(key, i)
            captions.setdefault(key, []).append(sample.caption)
        rows = list(first.values())
        return cls.of(lambda i: samples[rows[i]].image, captions.values())


def _existing(folder: Path, *parts: str) -> Path:
    """The file in the folder, with or without the sub-folder that the annotations name."""
    for path in (Path(folder).joinpath(*parts), Path(folder) / parts[-1]):
        if path.exists():
            return path
    raise DataError(f"{Path(folder).joinpath(*parts)} does not exist: expected the pictures in {folder}.")
