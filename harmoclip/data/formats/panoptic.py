"""COCO's captions with its panoptic segments (Kirillov et al., arXiv 1801.00868): things and stuff."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harmoclip.data.formats.coco_folder import CocoFolder
from harmoclip.data.formats.coco_json import BOX_OF_IMAGE
from harmoclip.data.formats.coco_names import COCO_SYNONYMS
from harmoclip.data.formats.coco_stuff_names import STUFF_SYNONYMS
from harmoclip.data.formats.entries import ID, LIST, Entry, Faults, OnBroken, complete
from harmoclip.data.formats.registry import register_format
from harmoclip.segment.phrase import Segment


class CocoPanoptic(CocoFolder):
    """One sample a caption, with the tight box of every segment of its image, such as the sky's.

    Args:
        folder: Has `annotations/captions_{split}.json`, `annotations/panoptic_{split}.json` and `{split}/`;
            the PNG files of the segments are not read.
        split: Such as `train2017`; by default the only one that the folder has captions of.
        segment: From a caption to its phrases; by default a `CaptionSegmenter`, made when first needed.
        upright: Read images turned as their EXIF orientation says.
        on_broken: Called with an error for each entry of the files that cannot be used, which is then left
            out; None raises them together.

    Raises:
        DataError: The folder is not in this layout, or entries lack something or refer to nothing.

    Example:
        >>> sample = CocoPanoptic("coco", "val2017")[0]  # doctest: +SKIP
        >>> sample.phrase_texts, sample.links  # doctest: +SKIP
        (('A man', 'the grass'), ((0, 0), (3, 1)))
    """

    def __init__(
        self,
        folder: str | Path,
        split: str | None = None,
        *,
        segment: Segment | None = None,
        upright: bool = True,
        on_broken: OnBroken | None = None,
    ) -> None:
        super().__init__(
            folder,
            split,
            "panoptic",
            _names,
            _segments,
            segment=segment,
            upright=upright,
            on_broken=on_broken,
        )


def _segments(entries: object, file: str, faults: Faults) -> Iterator[tuple[str, Entry]]:
    """The segments of every image, each with a name and its image's id."""
    kinds = {"image_id": ID, "segments_info": LIST}
    for name, entry in complete(entries, kinds, what="annotation", file=file, faults=faults, key="image_id"):
        own = [
            {**s, "image_id": entry["image_id"]} if isinstance(s, dict) else s for s in entry["segments_info"]
        ]
        yield from complete(own, BOX_OF_IMAGE, what="segment", file=name, faults=faults)


def _names(category: Entry) -> tuple[str, ...]:
    """The class's own name first, as people spell it: "tree" for `tree-merged`."""
    name = category["name"]
    if category.get("isthing", True):
        return (name, *COCO_SYNONYMS.get(name, ()))
    spoken = STUFF_SYNONYMS.get(name, ())
    return spoken if spoken and "-" in name else (name, *spoken)


register_format("panoptic", CocoPanoptic, signs=("annotations/panoptic_*.json",))
