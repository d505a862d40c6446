"""COCO's folder: captions in one of its files, boxes in another; the base of its data sets."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from harmoclip.data.formats.captioned import CaptionedBoxes
from harmoclip.data.formats.coco_json import (
    choose_split,
    group_boxes,
    listed,
    read_captions,
    read_categories,
    read_images,
)
from harmoclip.data.formats.entries import Entry, Faults, OnBroken
from harmoclip.data.formats.files import read_json
from harmoclip.segment.phrase import Segment


class CocoFolder(CaptionedBoxes):
    """One sample a caption of COCO, with every box that another file of the folder has of its image.

    Args:
        folder: Has `annotations/captions_{split}.json`, `annotations/{kind}_{split}.json` and `{split}/`.
        split: Such as `train2017`; None takes the only one that the folder has captions of.
        kind: What the boxes' file is of, as its name begins: `instances` or `panoptic`.
        names: Says what a category is called, its own name first.
        boxes: From the file's annotations, its name and who is told of faults to the boxes, each with a name
            for messages.
        segment: From a caption to its phrases; None makes a `CaptionSegmenter` when first needed.
        upright: Read images turned as their EXIF orientation says.
        on_broken: Called with an error for each entry of the files that cannot be used, which is then left
            out; None raises them together.

    Raises:
        DataError: The folder is not in this layout, or entries lack something or refer to nothing.
    """

    def __init__(
        self,
        folder: str | Path,
        split: str | None,
        kind: str,
        names: Callable[[Entry], tuple[str, ...]],
        boxes: Callable[[object, str, Faults], Iterable[tuple[str, Entry]]],
        *,
        segment: Segment | None,
        upright: bool,
        on_broken: OnBroken | None,
    ) -> None:
        root, faults = Path(folder), Faults(on_broken)
        files = "annotations/captions_{split}.json, annotations/" + kind + "_{split}.json and {split}/*.jpg"
        layout = f"COCO's layout: {files}"
        self.split = choose_split(root, split, layout)
        expected = layout.format(split=self.split)
        said, boxed = f"captions_{self.split}.json", f"{kind}_{self.split}.json"
        captions = read_json(root / "annotations" / said, "images", "annotations", expected=expected)
        content = read_json(root / "annotations" / boxed, "annotations", "categories", expected=expected)
        images, known = read_images(captions["images"], said, faults), listed(captions["images"])
        categories = read_categories(content["categories"], names, boxed, faults)
        rows = read_captions(captions["annotations"], images, said, faults, others=known)
        named, own = boxes(content["annotations"], boxed, faults), known | listed(content.get("images"))
        found = group_boxes(named, images, categories, boxed, faults, own_images=own)
        faults.raise_any()
        super().__init__(
            rows,
            found,
            categories,
            image_file=lambda image: root / self.split / image["file_name"],
            segment=segment,
            upright=upright,
        )
