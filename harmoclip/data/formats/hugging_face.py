"""Rows of Hugging Face `datasets` with `objects`: boxes and categories, beside a picture and a caption."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch.utils.data import Dataset, IterableDataset

from harmoclip.data.formats.files import BoxFormat, open_image, unit_boxes
from harmoclip.data.linking.by_words import WordLinker
from harmoclip.data.sample import Sample
from harmoclip.errors import DataError, MissingDependencyError
from harmoclip.segment import CaptionSegmenter, Phrase

_EXPECTED = 'expected {"bbox": [[x, y, w, h], ...], "category": [...]}, or a list of such objects'


class ReadObjects:
    """Makes a sample of one row; phrases are linked to boxes through the names of their categories.

    Args:
        names: Of the categories, where the rows hold numbers; a list of synonyms may stand for a name.
            Without it, boxes whose category is a number, not a word, stay without a link.
        image: The key of the picture.
        caption: The key of the caption, or a function from the row to it.
        objects: The key of the objects, given as a dictionary of lists or a list of dictionaries.
        box: The objects' key of the box.
        category: The objects' key of the category.
        box_format: What a box's four numbers are, in pixels; `xywh` is COCO's and the usual one.
        segment: From a caption to its phrases; by default a `CaptionSegmenter`, made when first needed.

    Raises:
        DataError: A row is not what it should be.
    """

    def __init__(
        self,
        names: Sequence[str | Sequence[str]] | None = None,
        *,
        image: str = "image",
        caption: str | Callable[[Mapping[str, Any]], str] = "caption",
        objects: str = "objects",
        box: str = "bbox",
        category: str = "category",
        box_format: BoxFormat = "xywh",
        segment: Callable[[str], Sequence[Phrase]] | None = None,
    ) -> None:
        self.names = names and [[name] if isinstance(name, str) else list(name) for name in names]
        self.image, self.caption, self.objects = image, caption, objects
        self.box, self.category, self.box_format = box, category, box_format
        self._segment = segment

    def __call__(self, row: Mapping[str, Any], key: str) -> Sample:
        """The sample of a row; `key` names it in messages."""
        image, caption = _picture(row.get(self.image), key), self._caption(row, key)
        boxes, categories = self._columns(row.get(self.objects), key)
        phrases = self.segment(caption)
        placed = unit_boxes([list(box) for box in boxes], image.size, self.box_format, key)
        return Sample(
            image=image,
            caption=caption,
            boxes=placed,
            phrases=tuple(phrases),
            links=tuple(self._links(phrases, categories, placed, key)),
            labels=torch.tensor(categories, dtype=torch.int64) if self._numbered(categories) else None,
            key=key,
        )

    @cached_property
    def segment(self) -> Callable[[str], Sequence[Phrase]]:
        """From a caption to its phrases."""
        return CaptionSegmenter() if self._segment is None else self._segment

    def _caption(self, row: Mapping[str, Any], key: str) -> str:
        caption = row.get(self.caption) if isinstance(self.caption, str) else self.caption(row)
        if not isinstance(caption, str) or not caption.strip():
            raise DataError(
                f"row {key}: the caption is {caption!r:.80}: expected text. Say where it is with caption=, "
                f"a column's name or a function from the row to the text; this row has {', '.join(row)}."
            )
        return caption

    def _columns(self, objects: Any, key: str) -> tuple[list[Any], list[Any]]:
        rows = [objects] if isinstance(objects, Mapping) else objects
        try:
            if isinstance(objects, Mapping):
                boxes, categories = list(objects[self.box]), list(objects[self.category])
            else:
                boxes, categories = [o[self.box] for o in rows], [o[self.category] for o in rows]
        except (KeyError, TypeError) as error:
            raise DataError(f"row {key}: {self.objects} is {objects!r:.80}: {_EXPECTED}.") from error
        if len(boxes) != len(categories):
            raise DataError(f"row {key}: {len(boxes)} boxes and {len(categories)} categories: {_EXPECTED}.")
        return boxes, categories

    def _links(
        self, phrases: Sequence[Phrase], categories: list[Any], boxes: torch.Tensor, key: str
    ) -> list[tuple[int, int]]:
        areas = (boxes[:, 2:] - boxes[:, :2]).prod(1).tolist()
        if not self._numbered(categories):
            words = list(dict.fromkeys(map(str, categories)))
            labels = [words.index(str(word)) for word in categories]
            return WordLinker([[word] for word in words])(phrases, labels, areas)
        if self.names is None:
            return []
        if categories and not 0 <= min(categories) <= max(categories) < len(self.names):
            raise DataError(f"row {key}: categories {categories} for {len(self.names)} names.")
        return self._linker(phrases, categories, areas)

    @cached_property
    def _linker(self) -> WordLinker:
        return WordLinker(self.names or ())

    @staticmethod
    def _numbered(categories: list[Any]) -> bool:
        return all(isinstance(category, int) for category in categories)


class ObjectRows(Dataset[Sample]):
    """The samples of a map-style `datasets.Dataset`; the options are those of `ReadObjects`.

    Category numbers get the names of the column's `ClassLabel`, where it has one and no names are given.

    Example:
        >>> rows = datasets.load_dataset("someone/boxes", split="train")  # doctest: +SKIP
        >>> ObjectRows(rows, caption="text")[0].boxes.shape  # doctest: +SKIP
        torch.Size([3, 4])
    """

    def __init__(self, rows: Any, names: Sequence[str | Sequence[str]] | None = None, **options: Any) -> None:
        self.rows = rows
        self.read = _reader(rows, names, options)
        self.class_names = self.read.names and tuple(own[0] for own in self.read.names)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self.rows):
            raise IndexError(f"row {index} of {len(self.rows)}")
        return self.read(self.rows[index], str(index))


class ObjectStream(IterableDataset[Sample]):
    """The samples of a streamed `datasets.IterableDataset`, in its own order.

    The stream itself shares its files among data loader workers; share them among ranks before with
    `datasets.distributed.split_dataset_by_node`.
    """

    def __init__(self, rows: Any, names: Sequence[str | Sequence[str]] | None = None, **options: Any) -> None:
        self.rows = rows
        self.read = _reader(rows, names, options)

    def __iter__(self) -> Iterator[Sample]:
        for number, row in enumerate(self.rows):
            yield self.read(row, str(number))


def open_rows(path: str | Path, split: str | None = None, **options: Any) -> ObjectRows:
    """The samples of a data set of Hugging Face: saved to a folder, files of rows, or on the Hub.

    Args:
        path: The folder of `save_to_disk`, or what `datasets.load_dataset` takes.
        split: Which of its splits; None takes the only one.
        options: Of `ReadObjects`.

    Raises:
        MissingDependencyError: datasets is not installed.
        DataError: There is no such data set, or it has several splits and none is named.
    """
    try:
        import datasets
    except ImportError as error:
        raise MissingDependencyError('These rows need datasets: pip install "harmoclip[data]"') from error
    saved = any((Path(path) / name).is_file() for name in ("dataset_dict.json", "state.json"))
    try:
        rows = datasets.load_from_disk(str(path)) if saved else datasets.load_dataset(str(path))
    except (OSError, ValueError) as error:
        raise DataError(
            f"datasets cannot load {path} ({error}): expected a folder of save_to_disk, files of rows, or a "
            "name on the Hub."
        ) from error
    if not isinstance(rows, Mapping):
        rows = {"train": rows}
    name = split or (next(iter(rows)) if len(rows) == 1 else None)
    if name not in rows:
        raise DataError(f"split is {split!r}; {path} has {', '.join(rows)}: name one of them.")
    return ObjectRows(rows[name], **options)


def _reader(rows: Any, names: Sequence[str | Sequence[str]] | None, options: dict[str, Any]) -> ReadObjects:
    read = ReadObjects(names, **options)
    if names is None:
        found = _class_names((getattr(rows, "features", None) or {}).get(read.objects), read.category)
        read.names = found and [[name] for name in found]
    return read


def _class_names(objects: Any, category: str) -> list[str] | None:
    """The names of a ClassLabel in whichever way the feature nests lists and dictionaries."""
    while objects is not None and not isinstance(objects, Mapping):
        objects = objects[0] if isinstance(objects, list) else getattr(objects, "feature", None)
    label = objects and objects.get(category)
    label = getattr(label, "feature", label)
    return getattr(label, "names", None)


def _picture(value: Any, key: str) -> Image.Image:
    if isinstance(value, Image.Image):
        return value.convert("RGB")
    if isinstance(value, Mapping) and isinstance(value.get("bytes"), bytes):  # an Image column, not decoded
        return open_image(value["bytes"], f"of row {key}")
    raise DataError(f"row {key}: the picture is a {type(value).__name__}: expected an Image column.")
