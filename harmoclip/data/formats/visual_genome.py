"""Visual Genome (Krishna et al., arXiv 1602.07332): descriptions of regions."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from torch.utils.data import Dataset

from harmoclip.data.formats.boxes import place_boxes
from harmoclip.data.formats.entries import (
    ID,
    LIST,
    NUMBER,
    SIZE,
    Entry,
    Faults,
    Id,
    Kind,
    OnBroken,
    complete,
    not_listed,
)
from harmoclip.data.formats.files import first_existing, read_json
from harmoclip.data.formats.registry import register_format
from harmoclip.data.sample import Sample, image_identity
from harmoclip.errors import DataError, InputError
from harmoclip.images import open_image

_LAYOUT = (
    "the layout of Visual Genome: region_descriptions.json and image_data.json, with the images in "
    "VG_100K/ and VG_100K_2/"
)
_JOIN = ". "
_SIDES = ("x", "y", "width", "height")
_IMAGE = {"image_id": ID, "width": SIZE, "height": SIZE}
_REGION = {"phrase": Kind(lambda value: isinstance(value, str), "text"), **dict.fromkeys(_SIDES, NUMBER)}


class _Part(NamedTuple):
    image_id: Id
    regions: list[Entry]


class VisualGenome(Dataset[Sample]):
    """Samples whose captions are descriptions of an image's regions, one after the other.

    An image has about fifty descriptions, more than a text tower reads, so it gives several samples. Each
    description is one phrase, linked to its region; the other regions of the image are not in the sample.

    Args:
        folder: Holds the two JSON files and the images' folders.
        descriptions: How many descriptions make a caption.
        upright: Read images turned as their EXIF orientation says.
        on_broken: Called with an error for each entry of the files that cannot be used, which is then left
            out; None raises them together.

    Raises:
        DataError: A file is missing or not what it should be, or entries lack something or refer to nothing.
        InputError: `descriptions` is below 1.

    Example:
        >>> VisualGenome("visual_genome", descriptions=2)[0].caption  # doctest: +SKIP
        'the clock is green in colour. shade is along the street'
    """

    class_names: tuple[str, ...] = ()
    is_thing: tuple[bool, ...] = ()

    def __init__(
        self,
        folder: str | Path,
        *,
        descriptions: int = 5,
        upright: bool = True,
        on_broken: OnBroken | None = None,
    ) -> None:
        if descriptions < 1:
            raise InputError(f"descriptions is {descriptions}: expected 1 or more.")
        self._folder, self._upright, faults = Path(folder), upright, Faults(on_broken)
        images = _list(self._folder / "image_data.json")
        self._images = {
            image["image_id"]: image
            for _, image in complete(
                images, _IMAGE, what="entry", file="image_data.json", faults=faults, key="image_id"
            )
        }
        entries = _list(self._folder / "region_descriptions.json")
        self._rows = [
            _Part(key, regions[start : start + descriptions])
            for key, regions in _described(entries, self._images, faults)
            for start in range(0, len(regions), descriptions)
        ]
        faults.raise_any()

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Sample:
        image_id, regions = self._rows[index]
        size = (self._images[image_id]["width"], self._images[image_id]["height"])
        placed = place_boxes(
            [[r[side] for side in _SIDES] for r in regions],
            size,
            "xywh",
            where=f"image {image_id!r}",
            names=[f"of region {r.get('region_id', row)!r}" for row, r in enumerate(regions)],
        )
        caption, spans = "", []
        for words in map(_words, regions):
            caption += _JOIN if caption else ""
            spans.append((len(caption), len(caption) + len(words)))
            caption += words
        return Sample(
            image=open_image(self._file(image_id), upright=self._upright, stated=size),
            caption=caption,
            boxes=placed.boxes,
            phrases=tuple(spans),
            links=placed.links([(i, i) for i in range(len(spans))]),
            key=str(image_id),
            dropped=placed.dropped,
            left_out=placed.left_out,
            cut=placed.cut,
        )

    @cached_property
    def image_ids(self) -> list[int]:
        """The `image_id` of every sample, whose images are not opened."""
        return [image_identity(str(part.image_id)) for part in self._rows]

    def _file(self, image_id: Id) -> Path:
        names = [f"{folder}/{image_id}.jpg" for folder in ("VG_100K", "VG_100K_2", "images")]
        return first_existing(self._folder, *names, expected=_LAYOUT)


def _described(
    entries: list[object], images: dict[Id, Entry], faults: Faults
) -> list[tuple[Id, list[Entry]]]:
    """The regions with words of each image that is listed."""
    found = []
    file = "region_descriptions.json"
    for name, entry in complete(entries, {"id": ID, "regions": LIST}, what="entry", file=file, faults=faults):
        if entry["regions"] and entry["id"] not in images:
            faults.add(
                f"{name} has the id {not_listed(entry['id'], images, 'image')} image_data.json has no image "
                f"{entry['id']!r}."
            )
            continue
        regions = complete(entry["regions"], _REGION, what="region", file=name, faults=faults, key=None)
        found.append((entry["id"], [region for _, region in regions if _words(region)]))
    return found


def _words(region: Entry) -> str:
    """A description without the space around it and the full stop at its end."""
    return str(region["phrase"]).strip().rstrip(".").rstrip()


def _list(path: Path) -> list[object]:
    rows = read_json(path, expected=_LAYOUT)
    if not isinstance(rows, list):
        raise DataError(f"{path} holds a {type(rows).__name__}, not a list: expected {_LAYOUT}.")
    return rows


register_format("visual_genome", VisualGenome, signs=("region_descriptions.json",))
