"""COCO's captions (Chen et al., arXiv 1504.00325) with its instances' boxes (Lin et al., arXiv 1405.0312)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.utils.data import Dataset

from harmoclip.data.coco_names import COCO_SYNONYMS
from harmoclip.data.files import open_image, read_json, unit_boxes
from harmoclip.data.sample import Sample
from harmoclip.data.words import Link, WordLinker
from harmoclip.errors import DataError
from harmoclip.segment import CaptionSegmenter, Phrase

_LAYOUT = (
    "COCO's layout: annotations/captions_{split}.json, annotations/instances_{split}.json and {split}/*.jpg"
)


class LinkShare(NamedTuple):
    """What linking reached."""

    boxes: float
    """The share of all boxes that at least one caption of their picture names."""
    boxes_per_caption: float
    """The same, where each caption of a picture is asked for all its boxes."""
    phrases: float
    """The share of phrases with a box."""


class CocoCaptions(Dataset[Sample]):
    """One sample a caption, with every box of its picture; phrases are linked through the categories' names.

    Pictures come in the order of the captions file, each with all its captions. Crowd boxes are kept, and
    only phrases for many things are linked to them.

    Args:
        folder: Has `annotations/captions_{split}.json`, `annotations/instances_{split}.json` and `{split}/`.
        split: Such as `train2017`; by default the only one that the folder has captions of.
        segment: From a caption to its phrases; by default a `CaptionSegmenter`, made when first needed.
        synonyms: What a category is called beside its own name, in the singular.

    Raises:
        DataError: The folder is not in this layout, or a file refers to something that is missing.

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
        segment: Callable[[str], Sequence[Phrase]] | None = None,
        synonyms: dict[str, tuple[str, ...]] = COCO_SYNONYMS,
    ) -> None:
        root = Path(folder)
        self.split = split or _only_split(root)
        expected = _LAYOUT.format(split=self.split)
        captions = read_json(
            root / f"annotations/captions_{self.split}.json", "images", "annotations", expected=expected
        )
        instances = read_json(
            root / f"annotations/instances_{self.split}.json", "annotations", "categories", expected=expected
        )
        self._pictures = root / self.split
        self._segment = segment
        self._rows = _rows(captions)
        self._boxes: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for box in instances["annotations"]:
            self._boxes[box["image_id"]].append(box)
        categories = instances["categories"]
        self.class_names = tuple(category["name"] for category in categories)
        self._class = {category["id"]: number for number, category in enumerate(categories)}
        self._linker = WordLinker([(name, *synonyms.get(name, ())) for name in self.class_names])

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Sample:
        image, caption = self._rows[index]
        boxes, phrases = self._boxes[image["id"]], self.segment(caption)
        return Sample(
            image=open_image(self._pictures / image["file_name"]),
            caption=caption,
            boxes=unit_boxes(
                [box["bbox"] for box in boxes], (image["width"], image["height"]), "xywh", image["file_name"]
            ),
            phrases=tuple(phrases),
            links=tuple(self._links(phrases, boxes)),
            labels=torch.tensor([self._class[box["category_id"]] for box in boxes], dtype=torch.int64),
            key=image["file_name"],
        )

    @cached_property
    def segment(self) -> Callable[[str], Sequence[Phrase]]:
        """From a caption to its phrases."""
        return self._segment or CaptionSegmenter()

    def link_share(self) -> LinkShare:
        """Read and link every caption, without the pictures, and say how much was linked."""
        linked: dict[int, set[int]] = defaultdict(set)
        asked = named = phrases_seen = phrases_linked = 0
        for image, caption in self._rows:
            boxes, phrases = self._boxes[image["id"]], self.segment(caption)
            links = self._links(phrases, boxes)
            rows = {row for row, _ in links}
            linked[image["id"]] |= rows
            asked, named = asked + len(boxes), named + len(rows)
            phrases_seen, phrases_linked = (
                phrases_seen + len(phrases),
                phrases_linked + len({p for _, p in links}),
            )
        boxes_seen = sum(len(self._boxes[key]) for key in linked)
        return LinkShare(
            boxes=sum(map(len, linked.values())) / max(boxes_seen, 1),
            boxes_per_caption=named / max(asked, 1),
            phrases=phrases_linked / max(phrases_seen, 1),
        )

    def _links(self, phrases: Sequence[Phrase], boxes: list[dict[str, Any]]) -> list[Link]:
        return self._linker(
            phrases,
            [self._class[box["category_id"]] for box in boxes],
            [box["bbox"][2] * box["bbox"][3] for box in boxes],
            [row for row, box in enumerate(boxes) if box.get("iscrowd")],
        )


def _rows(captions: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
    images = {image["id"]: image for image in captions["images"]}
    said: dict[int, list[str]] = {key: [] for key in images}
    for entry in captions["annotations"]:
        if entry["image_id"] not in images:
            raise DataError(
                f"caption {entry['id']} is of picture {entry['image_id']}, which the file does not list."
            )
        said[entry["image_id"]].append(entry["caption"])
    return [(images[key], caption) for key, own in said.items() for caption in own]


def _only_split(root: Path) -> str:
    found = sorted(path.stem.removeprefix("captions_") for path in root.glob("annotations/captions_*.json"))
    if len(found) == 1:
        return found[0]
    seen = f"has captions of {', '.join(found)}: name one of them" if found else "has none"
    raise DataError(f"{root} {seen}; expected {_LAYOUT.format(split='train2017')}.")
