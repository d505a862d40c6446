"""LVIS (Gupta et al., arXiv 1908.03195): boxes of 1,203 categories on images of COCO with its captions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from harmoclip.data.formats.captioned import CaptionedBoxes
from harmoclip.data.formats.coco_json import file_of_url, read_boxes, read_captions, read_categories
from harmoclip.data.formats.coco_names import COCO_SYNONYMS
from harmoclip.data.formats.entries import ID, LIST, SIZE, TEXT, Entry, Faults, Id, OnBroken, complete
from harmoclip.data.formats.files import check_split, first_existing, read_json
from harmoclip.data.formats.registry import register_format
from harmoclip.data.formats.texts import spoken
from harmoclip.errors import DataError
from harmoclip.segment.phrase import Segment

_LAYOUT = (
    "lvis_v1_{split}.json in the folder or its annotations/, with COCO's annotations/captions_*2017.json and "
    "images in train2017/ and val2017/"
)
_IMAGE = {"id": ID, "coco_url": TEXT, "width": SIZE, "height": SIZE, "not_exhaustive_category_ids": LIST}


class Lvis(CaptionedBoxes):
    """One sample a caption of COCO, with every box that LVIS has of its image.

    LVIS's splits take images from both of COCO's, so all captions that the folder has are read. Where LVIS
    says that a category was not boxed exhaustively in an image, nobody knows which one "a banana" is:
    its boxes are linked to phrases for many only.

    Args:
        folder: A COCO folder that also has `lvis_v1_{split}.json`.
        split: `train` or `val`.
        segment: From a caption to its phrases; by default a `CaptionSegmenter`, made when first needed.
        upright: Read images turned as their EXIF orientation says.
        on_broken: Called with an error for each entry of the files that cannot be used, which is then left
            out; None raises them together.

    Raises:
        DataError: A file is missing or not what it should be, or entries lack something or refer to nothing.

    Example:
        >>> Lvis("coco", "val")[0].phrase_texts  # doctest: +SKIP
        ('A man', 'a red hat')
    """

    def __init__(
        self,
        folder: str | Path,
        split: str = "train",
        *,
        segment: Segment | None = None,
        upright: bool = True,
        on_broken: OnBroken | None = None,
    ) -> None:
        root, expected, faults = Path(folder), _LAYOUT.format(split=split), Faults(on_broken)
        known = [path.stem.removeprefix("lvis_v1_") for path in root.glob("**/lvis_v1_*.json")]
        check_split(split, known, root)
        name = f"lvis_v1_{split}.json"
        path = first_existing(root, name, f"annotations/{name}", expected=expected)
        content = read_json(path, "images", "annotations", "categories", expected=expected)
        listed = complete(content["images"], _IMAGE, what="image", file=name, faults=faults)
        images: dict[Id, Entry] = {
            image["id"]: {**image, "file_name": file_of_url(image["coco_url"])} for _, image in listed
        }
        categories = read_categories(content["categories"], _names, name, faults)
        rows = _captions(root, images, expected, faults)
        boxes = read_boxes(content["annotations"], images, categories, name, faults)
        faults.raise_any()
        super().__init__(
            rows,
            {key: [_with_crowd(box, images[key]) for box in own] for key, own in boxes.items()},
            categories,
            image_file=lambda image: root / image["file_name"],
            segment=segment,
            upright=upright,
        )


def _captions(
    root: Path, images: Mapping[Id, Entry], expected: str, faults: Faults
) -> list[tuple[Entry, str]]:
    """COCO's captions of the images that LVIS has."""
    rows: list[tuple[Entry, str]] = []
    for path in sorted((root / "annotations").glob("captions_*.json")):
        said = read_json(path, "annotations", expected=expected)["annotations"]
        rows += read_captions(said, images, path.name, faults, others=None)
    if not rows:
        faults.raise_any()
        raise DataError(f"{root / 'annotations'} has no captions of the images: expected {expected}.")
    order = {key: row for row, key in enumerate(images)}
    return sorted(rows, key=lambda row: order[row[0]["id"]])


def _with_crowd(box: Entry, image: Entry) -> Entry:
    return {**box, "iscrowd": box["category_id"] in image["not_exhaustive_category_ids"]}


def _names(category: Entry) -> tuple[str, ...]:
    """Every name as it is spoken: "bow" for `bow_(decorative_ribbons)`."""
    first = spoken(category["name"])
    own = map(spoken, category.get("synonyms", ()))
    return tuple(dict.fromkeys([first, *own, *COCO_SYNONYMS.get(first, ())]))


register_format("lvis", Lvis, signs=("lvis_v1_*.json", "annotations/lvis_v1_*.json"))
