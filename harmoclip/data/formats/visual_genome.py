"""Visual Genome (Krishna et al., arXiv 1602.07332): descriptions of regions."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from torch.utils.data import Dataset

from harmoclip.data.formats.files import first_existing, open_image, read_json, require, unit_boxes
from harmoclip.data.sample import Sample
from harmoclip.errors import DataError, InputError

_LAYOUT = (
    "the layout of Visual Genome: region_descriptions.json and image_data.json, with the pictures in "
    "VG_100K/ and VG_100K_2/"
)
_JOIN = ". "


class _Part(NamedTuple):
    image_id: int
    regions: list[dict[str, Any]]


class VisualGenome(Dataset[Sample]):
    """Samples whose captions are descriptions of a picture's regions, one after the other.

    A picture has about fifty descriptions, more than a text tower reads, so it gives several samples. Each
    description is one phrase, linked to its region; the other regions of the picture are not in the sample.

    Args:
        folder: Holds the two JSON files and the pictures' folders.
        descriptions: How many descriptions make a caption.

    Raises:
        DataError: A file is missing or not what it should be.
        InputError: `descriptions` is below 1.

    Example:
        >>> VisualGenome("visual_genome", descriptions=2)[0].caption  # doctest: +SKIP
        'the clock is green in colour. shade is along the street'
    """

    def __init__(self, folder: str | Path, *, descriptions: int = 5) -> None:
        if descriptions < 1:
            raise InputError(f"descriptions is {descriptions}: expected 1 or more.")
        self._folder = Path(folder)
        images = _list(self._folder / "image_data.json", "image_id", "width", "height")
        self._images = {image["image_id"]: image for image in images}
        self._rows = [
            _Part(entry["id"], regions[start : start + descriptions])
            for entry in _list(self._folder / "region_descriptions.json", "id", "regions")
            for regions in [[r for r in _regions(entry) if _words(r)]]
            for start in range(0, len(regions), descriptions)
        ]

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Sample:
        image_id, regions = self._rows[index]
        if image_id not in self._images:
            raise DataError(f"image_data.json has no picture {image_id}: expected {_LAYOUT}.")
        image = self._images[image_id]
        caption, spans = "", []
        for words in map(_words, regions):
            caption += _JOIN if caption else ""
            spans.append((len(caption), len(caption) + len(words)))
            caption += words
        return Sample(
            image=open_image(self._picture(image_id)),
            caption=caption,
            boxes=unit_boxes(
                [[r[side] for side in ("x", "y", "width", "height")] for r in regions],
                (image["width"], image["height"]),
                "xywh",
                name=str(image_id),
            ),
            phrases=tuple(spans),
            links=tuple((i, i) for i in range(len(spans))),
            key=str(image_id),
        )

    def _picture(self, image_id: int) -> Path:
        names = [f"{folder}/{image_id}.jpg" for folder in ("VG_100K", "VG_100K_2", "images")]
        return first_existing(self._folder, *names, expected=_LAYOUT)


def _regions(entry: dict[str, Any]) -> list[dict[str, Any]]:
    require(entry["regions"], "phrase", "x", "y", "width", "height", what="description", expected=_LAYOUT)
    return list(entry["regions"])


def _words(region: dict[str, Any]) -> str:
    """A description without the space around it and the full stop at its end."""
    return str(region["phrase"]).strip().rstrip(".").rstrip()


def _list(path: Path, *keys: str) -> list[dict[str, Any]]:
    rows = read_json(path, expected=_LAYOUT)
    if not isinstance(rows, list):
        raise DataError(f"{path} holds a {type(rows).__name__}, not a list: expected {_LAYOUT}.")
    require(rows, *keys, what=f"{path.name} entry", expected=_LAYOUT)
    return rows
