"""LVIS (Gupta et al., arXiv 1908.03195): boxes of 1,203 categories on pictures of COCO with its captions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from harmoclip.data.formats.captioned import CaptionedBoxes, Entry, Segment
from harmoclip.data.formats.coco_names import COCO_SYNONYMS
from harmoclip.data.formats.files import first_existing, read_json, require
from harmoclip.errors import DataError

_LAYOUT = (
    "lvis_v1_{split}.json in the folder or its annotations/, with COCO's annotations/captions_*2017.json and "
    "pictures in train2017/ and val2017/"
)


class Lvis(CaptionedBoxes):
    """One sample a caption of COCO, with every box that LVIS has of its picture.

    LVIS's splits take pictures from both of COCO's, so all captions that the folder has are read. Where LVIS
    says that a category was not boxed exhaustively in a picture, nobody knows which one "a banana" is:
    its boxes are linked to phrases for many only.

    Args:
        folder: A COCO folder that also has `lvis_v1_{split}.json`.
        split: `train` or `val`.
        segment: From a caption to its phrases; by default a `CaptionSegmenter`, made when first needed.

    Raises:
        DataError: A file is missing or not what it should be.

    Example:
        >>> Lvis("coco", "val")[0].phrase_texts  # doctest: +SKIP
        ('A man', 'a red hat')
    """

    def __init__(self, folder: str | Path, split: str = "train", *, segment: Segment | None = None) -> None:
        root, expected = Path(folder), _LAYOUT.format(split=split)
        name = f"lvis_v1_{split}.json"
        path = first_existing(root, name, f"annotations/{name}", expected=expected)
        content = read_json(path, "images", "annotations", "categories", expected=expected)
        needed = ("id", "coco_url", "not_exhaustive_category_ids")
        require(content["images"], *needed, what="image", expected=expected)
        require(content["annotations"], "image_id", "category_id", what="box", expected=expected)
        images = {image["id"]: image for image in content["images"]}
        super().__init__(
            _captions(root, images, expected),
            [
                {
                    **box,
                    "iscrowd": box["category_id"] in images[box["image_id"]]["not_exhaustive_category_ids"],
                }
                for box in content["annotations"]
            ],
            {category["id"]: _names(category) for category in content["categories"]},
            picture=lambda image: root / _file(image),
            segment=segment,
        )

    def key(self, index: int) -> str:
        """The folder and file name of a sample's picture, which is not opened."""
        return _file(self._rows[index][0])


def _captions(root: Path, images: dict[int, Entry], expected: str) -> dict[str, Any]:
    """COCO's captions of the pictures that LVIS has."""
    said: list[Entry] = []
    for path in sorted((root / "annotations").glob("captions_*.json")):
        said += read_json(path, "annotations", expected=expected)["annotations"]
    kept = [entry for entry in said if entry["image_id"] in images]
    if not kept:
        raise DataError(f"{root / 'annotations'} has no captions of the pictures: expected {expected}.")
    return {
        "images": [{**image, "file_name": _file(image)} for image in images.values()],
        "annotations": kept,
    }


def _file(image: Entry) -> str:
    """`train2017/000000391895.jpg`; version 1 names no file, but where the picture is on the web."""
    return "/".join(image["coco_url"].split("/")[-2:])


def _names(category: Entry) -> tuple[str, ...]:
    """Every name as it is spoken: "bow" for `bow_(decorative_ribbons)`."""
    own = [re.sub(r"_?\(.*?\)", "", name).replace("_", " ") for name in category["synonyms"]]
    first = re.sub(r"_?\(.*?\)", "", category["name"]).replace("_", " ")
    return tuple(dict.fromkeys([first, *own, *COCO_SYNONYMS.get(first, ())]))
