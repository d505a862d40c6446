"""Users' own data: one JSON object a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from harmoclip.data.formats.files import BoxFormat, open_image
from harmoclip.data.formats.rows import Segment, Unit, from_row
from harmoclip.data.sample import Sample
from harmoclip.errors import DataError


class JsonLines(Dataset[Sample]):
    """One sample a line: `image` is the image's file, other keys are those of `harmoclip.data.formats.rows`.

    Args:
        path: The file.
        images: The folder that the pictures' names start from; None is the folder of the file.
        segment: Finds the phrases of captions that come without; None leaves them without.
        box_format: What a box's four numbers are: `xyxy`, `xywh` (as COCO) or `cxcywh` (as YOLO).
        unit: Of boxes: `fraction` of the picture's size, or `pixel`.

    Raises:
        DataError: The file is missing or a line is not what it should be; the message names the line.

    Example:
        A line, and how to read it:

        {"image": "a.jpg", "caption": "A dog.", "boxes": [[8, 9, 70, 80]], "phrases": ["A dog"],
        "links": [[0, 0]]}

        >>> JsonLines("mine.jsonl", unit="pixel")[0].phrase_texts  # doctest: +SKIP
        ('A dog',)
    """

    def __init__(
        self,
        path: str | Path,
        *,
        images: str | Path | None = None,
        segment: Segment | None = None,
        box_format: BoxFormat = "xyxy",
        unit: Unit = "fraction",
    ) -> None:
        self.path = Path(path)
        self._images = Path(images) if images else self.path.parent
        self._segment, self._box_format, self._unit = segment, box_format, unit
        if not self.path.is_file():
            raise DataError(f"{self.path} does not exist: expected a file of JSON lines.")
        self._starts = _line_starts(self.path)

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: int) -> Sample:
        row = self._row(index)
        if not isinstance(row.get("image"), str):
            raise DataError(f"{self._name(index)} has no 'image': expected the picture's file name.")
        return from_row(
            row,
            open_image(self._images / row["image"]),
            segment=self._segment,
            box_format=self._box_format,
            unit=self._unit,
            name=self._name(index),
        )

    def _row(self, index: int) -> dict[str, Any]:
        with self.path.open("rb") as file:
            file.seek(self._starts[index])
            line = file.readline()
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"{self._name(index)} is not JSON: {error}.") from error
        if not isinstance(row, dict):
            raise DataError(f"{self._name(index)} is {row!r:.60}: expected a JSON object.")
        return row

    def _name(self, index: int) -> str:
        return f"{self.path.name} sample {index}"


def _line_starts(path: Path) -> list[int]:
    """The byte at which each line that is not blank begins."""
    starts, position = [], 0
    with path.open("rb") as file:
        for line in file:
            if line.strip():
                starts.append(position)
            position += len(line)
    return starts
