"""COCO's captions (Chen et al., arXiv 1504.00325) with its instances' boxes (Lin et al., arXiv 1405.0312)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from harmoclip.data.formats.coco_folder import CocoFolder
from harmoclip.data.formats.coco_json import named_boxes
from harmoclip.data.formats.coco_names import COCO_SYNONYMS
from harmoclip.data.formats.entries import OnBroken
from harmoclip.data.formats.registry import register_format
from harmoclip.segment.phrase import Segment


class CocoCaptions(CocoFolder):
    """One sample a caption, with every box of its image; phrases are linked through the categories' names.

    Images come in the order of the captions file, each with all its captions. Crowd boxes are kept, and
    only phrases for many things are linked to them. Boxes of images that `instances` lists and `captions`
    does not are passed over.

    Args:
        folder: Has `annotations/captions_{split}.json`, `annotations/instances_{split}.json` and `{split}/`.
        split: Such as `train2017`; by default the only one that the folder has captions of.
        segment: From a caption to its phrases; by default a `CaptionSegmenter`, made when first needed.
        synonyms: What a category is called beside its own name, in the singular.
        upright: Read images turned as their EXIF orientation says.
        on_broken: Called with an error for each entry of the files that cannot be used, which is then left
            out; None raises them together.

    Raises:
        DataError: The folder is not in this layout, or entries lack something or refer to nothing.

    Example:
        >>> sample = CocoCaptions("coco", "val2017")[0]  # doctest: +SKIP
        >>> sample.phrase_texts, sample.links  # doctest: +SKIP
        (('A man', 'two dogs'), ((0, 0), (1, 1), (2, 1)))
    """

    def __init__(
        self,
        folder: str | Path,
        split: str | None = None,
        *,
        segment: Segment | None = None,
        synonyms: Mapping[str, tuple[str, ...]] = COCO_SYNONYMS,
        upright: bool = True,
        on_broken: OnBroken | None = None,
    ) -> None:
        super().__init__(
            folder,
            split,
            "instances",
            lambda category: (category["name"], *synonyms.get(category["name"], ())),
            named_boxes,
            segment=segment,
            upright=upright,
            on_broken=on_broken,
        )


register_format("coco", CocoCaptions, signs=("annotations/instances_*.json",))
