"""Users' own data: one JSON object a line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from torch.utils.data import Dataset

from harmoclip.data.dataset import Shown
from harmoclip.data.formats.boxes import BoxFormat, Unit, check_box_options
from harmoclip.data.formats.registry import register_format
from harmoclip.data.formats.rows import (
    KEYS,
    SpanFinder,
    from_row,
    image_id_of,
    parse_row,
    read_class_names,
)
from harmoclip.data.sample import Sample, image_identity
from harmoclip.errors import DataError
from harmoclip.images import open_image


class _Line(NamedTuple):
    """Where a line is in the file: its number, from 1, and its first byte."""

    number: int
    start: int


class JsonLines(Shown, Dataset[Sample]):
    """One sample a line: `image` is the image's file, other keys are those of `harmoclip.data.formats.rows`.

    Args:
        path: The file.
        images: The folder that the images' names start from; None is the folder of the file.
        segment: Finds the phrases of captions that come without; None leaves them without.
        box_format: What a box's four numbers are: `xyxy`, `xywh` (as COCO) or `cxcywh` (as YOLO).
        unit: Of boxes: `fraction` of the image's size, or `pixel`.
        class_names: Of each label; by default the lines of `class_names.txt` beside the file, or else the
            names that stand in `labels`, in the order of the alphabet, for which the whole file is read.
        upright: Read images turned as their EXIF orientation says; boxes are then of the turned image.

    Raises:
        InputError: The box format or the unit is not known.
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
        segment: SpanFinder | None = None,
        box_format: BoxFormat = "xyxy",
        unit: Unit = "fraction",
        class_names: Sequence[str] | None = None,
        upright: bool = True,
    ) -> None:
        check_box_options(box_format, unit)
        self.path = Path(path)
        self._images = Path(images) if images else self.path.parent
        self._segment, self._box_format, self._unit, self._upright = segment, box_format, unit, upright
        if not self.path.is_file():
            raise DataError(f"{self.path} does not exist: expected a file of JSON lines.")
        self._lines = _lines(self.path)
        self._class_names = class_names or read_class_names(self.path.parent)

    def __len__(self) -> int:
        return len(self._lines)

    def __getitem__(self, index: int) -> Sample:
        row, name = self._row(index), self._name(index)
        if not isinstance(row.get("image"), str):
            given = f"the image {row['image']!r:.80}" if "image" in row else f"no 'image', only {list(row)}"
            raise DataError(f"{name} has {given:.200}: expected the image's file name under 'image'.")
        return from_row(
            row,
            open_image(self._images / row["image"], upright=self._upright),
            segment=self._segment,
            box_format=self._box_format,
            unit=self._unit,
            class_names=self.class_names if _has_words(row) else self._class_names,
            name=name,
        )

    @cached_property
    def image_ids(self) -> list[int]:
        """The `image_id` of every sample, whose images are not opened; the whole file is read for it."""
        found = []
        for index in range(len(self)):
            try:
                own = image_id_of(self._row(index))
            except DataError:  # reading the sample says what is wrong
                own = None
            found.append(own if isinstance(own, int) else image_identity(str(own or self._name(index))))
        return found

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """The name of each class, by label; empty where nothing names them."""
        return tuple(self._class_names) or tuple(sorted(self._words()))

    @property
    def is_thing(self) -> tuple[bool, ...]:
        """For each class whether it is of things: nothing says that one is not."""
        return (True,) * len(self.class_names)

    @cached_property
    def unread(self) -> Counter[str]:
        """In how many lines each key stands that is not read; the whole file is read for it."""
        return Counter(key for row in self._rows() for key in row if key not in (*KEYS, "image"))

    def _words(self) -> set[str]:
        """The names that stand in the place of labels."""
        found = (label for row in self._rows() if _has_words(row) for label in row["labels"])
        return {label for label in found if isinstance(label, str) and label.strip()}

    def _rows(self) -> Iterator[dict[str, Any]]:
        """Every line that can be read; of another, reading its sample says what is wrong."""
        for index in range(len(self)):
            with suppress(DataError):
                yield self._row(index)

    def _row(self, index: int) -> dict[str, Any]:
        with self.path.open("rb") as file:
            file.seek(self._lines[index].start)
            line = file.readline()
        return parse_row(line, self._name(index))

    def _name(self, index: int) -> str:
        return f"{self.path.name} line {self._lines[index].number}"


def _has_words(row: dict[str, Any]) -> bool:
    """Whether names of classes stand in the place of their numbers."""
    labels = row.get("labels")
    return isinstance(labels, list) and any(isinstance(label, str) for label in labels)


def _lines(path: Path) -> list[_Line]:
    """Each line that is not blank."""
    found, position = [], 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                found.append(_Line(number, position))
            position += len(line)
    return found


register_format("json_lines", JsonLines, endings=(".jsonl",))
