"""DOCCI (Onoe et al., arXiv 2404.19753): long descriptions of photographs."""

from __future__ import annotations

from pathlib import Path

from harmoclip.data.formats.entries import TEXT, Faults, OnBroken, complete
from harmoclip.data.formats.files import check_split, read_lines
from harmoclip.data.formats.registry import register_format
from harmoclip.data.formats.texts import Described, DescribedImages

_LAYOUT = "DOCCI's layout: docci_descriptions.jsonlines and images/"
_ROW = {"example_id": TEXT, "split": TEXT, "image_file": TEXT, "description": TEXT}


class Docci(DescribedImages):
    """One sample an image, whose caption is its long description; there are no boxes.

    Args:
        folder: Has `docci_descriptions.jsonlines` and `images/`.
        split: `train`, `test`, `qual_dev` or `qual_test`.
        images: The folder of the images, where it is another.
        upright: Read images turned as their EXIF orientation says.
        on_broken: Called with an error for each line that cannot be used, which is then left out; None raises
            them together.

    Raises:
        DataError: The file is missing, has no such split, or has lines that are not what they should be.

    Example:
        >>> len(Docci("docci", "test"))  # doctest: +SKIP
        5000
    """

    def __init__(
        self,
        folder: str | Path,
        split: str = "train",
        *,
        images: str | Path | None = None,
        upright: bool = True,
        on_broken: OnBroken | None = None,
    ) -> None:
        root, faults = Path(folder), Faults(on_broken)
        path = root / "docci_descriptions.jsonlines"
        lines = read_lines(path, faults, expected=_LAYOUT)
        found = [
            row
            for _, row in complete(lines, _ROW, what="row", file=path.name, faults=faults, key="example_id")
        ]
        faults.raise_any()
        check_split(split, {row["split"] for row in found}, path)
        rows = [
            Described((row["image_file"],), row["image_file"], row["description"].strip())
            for row in found
            if row["split"] == split
        ]
        super().__init__(rows, Path(images or root / "images"), _LAYOUT, upright=upright)


register_format("docci", Docci, signs=("docci_descriptions.jsonlines",))
