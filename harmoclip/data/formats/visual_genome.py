"""Visual Genome (Krishna et al., arXiv 1602.07332): descriptions of regions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harmoclip.data.formats.entries import (
    ID,
    LIST,
    NUMBER,
    SIZE,
    STRING,
    Entry,
    Faults,
    Id,
    OnBroken,
    complete,
    not_listed,
)
from harmoclip.data.formats.files import read_json
from harmoclip.data.formats.registry import register_format
from harmoclip.data.formats.texts import Described, DescribedImages
from harmoclip.errors import DataError, InputError

_LAYOUT = (
    "the layout of Visual Genome: region_descriptions.json and image_data.json, with the images in "
    "VG_100K/ and VG_100K_2/"
)
_SIDES = ("x", "y", "width", "height")
_IMAGE = {"image_id": ID, "width": SIZE, "height": SIZE}
_REGION = {"phrase": STRING, **dict.fromkeys(_SIDES, NUMBER)}


class VisualGenome(DescribedImages):
    """Samples of regions with their descriptions as texts of their own; there is no caption.

    An image has about fifty descriptions, so it gives several samples.

    Args:
        folder: Holds the two JSON files and the images' folders.
        descriptions: At most so many a sample.
        upright: Read images turned as their EXIF orientation says.
        on_broken: Called with an error for each entry of the files that cannot be used, which is then left
            out; None raises them together.

    Raises:
        DataError: A file is missing or not what it should be, or entries lack something or refer to nothing.
        InputError: `descriptions` is below 1.

    Example:
        >>> VisualGenome("visual_genome", descriptions=2)[0].phrases  # doctest: +SKIP
        ('the clock is green in colour', 'shade is along the street')
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        descriptions: int = 10,
        upright: bool = True,
        on_broken: OnBroken | None = None,
    ) -> None:
        if descriptions < 1:
            raise InputError(f"descriptions is {descriptions}: expected 1 or more.")
        root, faults = Path(folder), Faults(on_broken)
        listed = complete(
            _list(root / "image_data.json"),
            _IMAGE,
            what="entry",
            file="image_data.json",
            faults=faults,
            key="image_id",
        )
        images = {image["image_id"]: image for _, image in listed}
        rows = [
            _row(images[key], regions[start : start + descriptions])
            for key, regions in _described(_list(root / "region_descriptions.json"), images, faults)
            for start in range(0, len(regions), descriptions)
        ]
        faults.raise_any()
        super().__init__(rows, root, _LAYOUT, box_format="xywh", upright=upright)


def _row(image: Entry, regions: list[Entry]) -> Described:
    """Some regions of an image with their descriptions."""
    key = image["image_id"]
    return Described(
        files=tuple(f"{folder}/{key}.jpg" for folder in ("VG_100K", "VG_100K_2", "images")),
        key=str(key),
        boxes=[[region[side] for side in _SIDES] for region in regions],
        right=[[_words(region)] for region in regions],
        size=(image["width"], image["height"]),
        names=[f"of region {region.get('region_id', row)!r}" for row, region in enumerate(regions)],
    )


def _described(
    entries: list[object], images: dict[Id, Entry], faults: Faults
) -> Iterator[tuple[Id, list[Entry]]]:
    """The regions with words of each image that is listed."""
    file = "region_descriptions.json"
    for name, entry in complete(entries, {"id": ID, "regions": LIST}, what="entry", file=file, faults=faults):
        if entry["regions"] and entry["id"] not in images:
            faults.add(
                f"{name} has the id {not_listed(entry['id'], images, 'image')} image_data.json has no image "
                f"{entry['id']!r}."
            )
            continue
        regions = complete(entry["regions"], _REGION, what="region", file=name, faults=faults, key=None)
        yield entry["id"], [region for _, region in regions if _words(region)]


def _words(region: Entry) -> str:
    """A description without the space around it and the full stop at its end."""
    return str(region["phrase"]).strip().rstrip(".").rstrip()


def _list(path: Path) -> list[object]:
    rows = read_json(path, expected=_LAYOUT)
    if not isinstance(rows, list):
        raise DataError(f"{path} holds a {type(rows).__name__}, not a list: expected {_LAYOUT}.")
    return rows


register_format("visual_genome", VisualGenome, signs=("region_descriptions.json",))
