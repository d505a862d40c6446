"""COCO's captions with its panoptic segments (Kirillov et al., arXiv 1801.00868): things and stuff."""

from __future__ import annotations

from pathlib import Path

from harmoclip.data.formats.captioned import CaptionedBoxes, Segment
from harmoclip.data.formats.coco import only_split
from harmoclip.data.formats.coco_names import COCO_SYNONYMS
from harmoclip.data.formats.coco_stuff_names import STUFF_SYNONYMS
from harmoclip.data.formats.files import read_json

_LAYOUT = (
    "COCO's layout: annotations/captions_{split}.json, annotations/panoptic_{split}.json and {split}/*.jpg"
)


class CocoPanoptic(CaptionedBoxes):
    """One sample a caption, with the tight box of every segment of its picture, such as the sky's.

    Args:
        folder: Has `annotations/captions_{split}.json`, `annotations/panoptic_{split}.json` and `{split}/`;
            the PNG files of the segments are not read.
        split: Such as `train2017`; by default the only one that the folder has captions of.
        segment: From a caption to its phrases; by default a `CaptionSegmenter`, made when first needed.

    Attributes:
        is_thing: For each class whether it is of things rather than stuff.

    Raises:
        DataError: The folder is not in this layout, or a file refers to something that is missing.

    Example:
        >>> sample = CocoPanoptic("coco", "val2017")[0]  # doctest: +SKIP
        >>> sample.phrase_texts, sample.links  # doctest: +SKIP
        (('A man', 'the grass'), ((0, 0), (3, 1)))
    """

    def __init__(
        self, folder: str | Path, split: str | None = None, *, segment: Segment | None = None
    ) -> None:
        root = Path(folder)
        self.split = split or only_split(root)
        expected = _LAYOUT.format(split=self.split)
        annotations = root / "annotations"
        captions = read_json(
            annotations / f"captions_{self.split}.json", "images", "annotations", expected=expected
        )
        panoptic = read_json(
            annotations / f"panoptic_{self.split}.json", "annotations", "categories", expected=expected
        )
        self.is_thing = tuple(bool(category["isthing"]) for category in panoptic["categories"])
        super().__init__(
            captions,
            [
                {**segment_info, "image_id": entry["image_id"]}
                for entry in panoptic["annotations"]
                for segment_info in entry["segments_info"]
            ],
            {c["id"]: _names(c["name"], bool(c["isthing"])) for c in panoptic["categories"]},
            picture=lambda image: root / self.split / image["file_name"],
            segment=segment,
        )


def _names(name: str, is_thing: bool) -> tuple[str, ...]:
    """The class's own name first, as people spell it: "tree" for `tree-merged`."""
    if is_thing:
        return (name, *COCO_SYNONYMS.get(name, ()))
    return STUFF_SYNONYMS.get(name, ()) if "-" in name else (name, *STUFF_SYNONYMS.get(name, ()))
