"""Rows of Hugging Face `datasets` with `objects`: boxes and categories, beside an image and a caption."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset, IterableDataset

from harmoclip.data.dataset import Shown
from harmoclip.data.formats.boxes import BoxFormat, PlacedBoxes, Unit, check_box_options, declared_boxes
from harmoclip.data.formats.entries import ID
from harmoclip.data.formats.files import check_split
from harmoclip.data.formats.registry import register_format
from harmoclip.data.formats.rows import Row, plain
from harmoclip.data.formats.texts import Pairs, linked_texts, spoken
from harmoclip.data.linking.by_words import Names, WordLinker, with_synonyms
from harmoclip.data.sample import Sample, image_identity
from harmoclip.errors import DataError, MissingDependencyError
from harmoclip.hub import from_hub
from harmoclip.images import open_image, upright
from harmoclip.segment import CaptionSegmenter, Phrase
from harmoclip.segment.phrase import Segment

Caption = str | Callable[[Row], str] | None
_EXPECTED = 'expected {"bbox": [[x, y, w, h], ...], "category": [...]}, or a list of such objects'


class Rows(Protocol):
    """What has a length and rows by number, such as a `datasets.Dataset` or a list of dictionaries."""

    def __len__(self) -> int:
        """How many rows."""

    def __getitem__(self, index: int, /) -> Row:
        """One row."""


class ReadObjects:
    """Makes a sample of one row; phrases are linked to boxes through the names of their categories.

    Rows may hold lists, or tensors and arrays, as `with_format` makes them.

    Args:
        names: Of the categories, where the rows hold numbers; a list of synonyms may stand for a name.
            Without it, boxes whose category is a number, not a word, stay without a link.
        image: The key of the image.
        caption: The key of the caption, or a function from the row to it. None or "" for rows without one:
            the names of the boxes' categories are then texts of their own.
        objects: The key of the objects, given as a dictionary of lists or a list of dictionaries.
        box: The objects' key of the box.
        category: The objects' key of the category.
        image_id: The key of what is equal for rows of one image; a row without it counts as an image of its
            own.
        box_format: What a box's four numbers are; `xywh` is COCO's and the usual one.
        unit: Of boxes: pixels of the image, or a share of its size.
        segment: From a caption to its phrases; by default a `CaptionSegmenter`, made when first needed.

    Raises:
        InputError: The box format or the unit is not known.
        DataError: A row is not what it should be, or its boxes are of another format or unit than is said.
    """

    def __init__(
        self,
        names: Names | None = None,
        *,
        image: str = "image",
        caption: Caption = "caption",
        objects: str = "objects",
        box: str = "bbox",
        category: str = "category",
        image_id: str = "image_id",
        box_format: BoxFormat = "xywh",
        unit: Unit = "pixel",
        segment: Segment | None = None,
    ) -> None:
        check_box_options(box_format, unit)
        self.names = None if names is None else with_synonyms(names)
        self.image, self.caption, self.objects = image, caption, objects
        self.box, self.category, self.image_id = box, category, image_id
        self.box_format, self.unit = box_format, unit
        self._segment = segment

    def __call__(self, row: Row, key: str) -> Sample:
        """The sample of a row; `key` names it in messages."""
        image, caption = _image(row.get(self.image), key), self._caption(row, key)
        boxes, categories = self._columns(plain(row.get(self.objects)), key)
        placed = declared_boxes(boxes, image.size, self.box_format, self.unit, where=f"row {key}")
        kept = [categories[row_] for row_ in placed.rows]
        phrases, links = self._texts(caption, kept, placed, key)
        return Sample(
            image=image,
            caption=caption,
            boxes=placed.boxes,
            phrases=phrases,
            links=links,
            labels=torch.tensor(kept, dtype=torch.int64) if _numbered(categories) else None,
            key=key,
            image_id=self.identity(row, key),
            dropped=placed.dropped,
            left_out=placed.left_out,
            cut=placed.cut,
        )

    def identity(self, row: Row, key: str) -> int | str:
        """What is equal for rows of one image."""
        given = plain(row.get(self.image_id))
        if given is None:
            return f"row {key}"
        if not ID.holds(given):
            raise DataError(f"row {key}: {self.image_id} is {given!r:.80}: expected {ID.expected}.")
        own: int | str = given
        return own

    @cached_property
    def segment(self) -> Segment:
        """From a caption to its phrases."""
        return CaptionSegmenter() if self._segment is None else self._segment

    def _texts(
        self, caption: str, categories: list[int | str], placed: PlacedBoxes, key: str
    ) -> tuple[tuple[Phrase | str, ...], Pairs]:
        """The phrases of the caption, or without one the categories' names; and their links to the boxes."""
        if not self.caption:
            return linked_texts([[self._name(category, key)] for category in categories])[:2]
        phrases = tuple(self.segment(caption))
        return phrases, tuple(self._links(phrases, categories, placed, key))

    def _name(self, category: int | str, key: str) -> str:
        """What boxes of a category are called."""
        if isinstance(category, str):
            return spoken(category)
        if self.names is None:
            raise DataError(
                f"row {key}: a {self.category} is {category}, which nothing names: expected words, a "
                "ClassLabel, or names=, the names of the categories in the order of their numbers."
            )
        return spoken(self.names[category][0])

    def _caption(self, row: Row, key: str) -> str:
        if not self.caption:
            return ""
        caption = row.get(self.caption) if isinstance(self.caption, str) else self.caption(row)
        if not isinstance(caption, str) or not caption.strip():
            raise DataError(
                f"row {key}: the caption is {caption!r:.80}: expected text. Say where it is with caption=, "
                f"a column's name or a function from the row to the text; this row has {', '.join(row)}. "
                "Where rows have none, caption=None (-o caption=) makes the categories' names the texts."
            )
        return caption

    def _columns(self, objects: Any, key: str) -> tuple[list[object], list[int | str]]:
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
        self._check_categories(categories, key)
        return boxes, categories

    def _check_categories(self, categories: list[object], key: str) -> None:
        for category in categories:
            if not ID.holds(category):
                raise DataError(
                    f"row {key}: a {self.category} is {category!r:.80}: expected a word, or a whole number."
                )
        numbers = [c for c in categories if isinstance(c, int)]
        if 0 < len(numbers) < len(categories):
            raise DataError(
                f"row {key}: categories {categories!r:.80} are words and numbers: expected one kind."
            )
        if self.names is not None and numbers and not 0 <= min(numbers) <= max(numbers) < len(self.names):
            raise DataError(f"row {key}: categories {categories} for {len(self.names)} names.")

    def _links(
        self, phrases: Sequence[Phrase], categories: list[int | str], placed: PlacedBoxes, key: str
    ) -> list[tuple[int, int]]:
        areas = (placed.boxes[:, 2:] - placed.boxes[:, :2]).prod(1).tolist()
        numbers = [c for c in categories if isinstance(c, int)]
        if len(numbers) < len(categories):
            words = list(dict.fromkeys(map(str, categories)))
            labels = [words.index(str(word)) for word in categories]
            return WordLinker(words)(phrases, labels, areas)
        return [] if self.names is None else self._linker(phrases, numbers, areas)

    @cached_property
    def _linker(self) -> WordLinker:
        return WordLinker(self.names or ())


class ObjectRows(Shown, Dataset[Sample]):
    """The samples of a map-style `datasets.Dataset`; the options are those of `ReadObjects`.

    Category numbers get the names of the column's `ClassLabel`, where it has one and no names are given.

    Example:
        >>> rows = datasets.load_dataset("someone/boxes", split="train")  # doctest: +SKIP
        >>> ObjectRows(rows, caption="text")[0].boxes.shape  # doctest: +SKIP
        torch.Size([3, 4])
    """

    def __init__(self, rows: Rows, names: Names | None = None, **options: Any) -> None:
        self.rows = rows
        self.read = _reader(rows, names, options)
        self.class_names = tuple(own[0] for own in self.read.names or ())
        self.is_thing = (True,) * len(self.class_names)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self.rows):
            raise IndexError(f"row {index} of {len(self.rows)}")
        return self.read(self.rows[index], str(index))

    @cached_property
    def image_ids(self) -> list[int]:
        """The `image_id` of every sample, whose images are not decoded."""
        column = self.read.image_id
        known = column in (getattr(self.rows, "column_names", None) or [])
        # the column alone: asking for whole rows would decode every image
        values: Any = plain(list(self.rows[column])) if known else None  # type: ignore[index]
        if values is None and isinstance(self.rows, list):
            values = [row.get(column) for row in self.rows]
        given = [None] * len(self.rows) if values is None else values
        own = [self.read.identity({column: value}, str(row)) for row, value in enumerate(given)]
        return [value if isinstance(value, int) else image_identity(value) for value in own]


class ObjectStream(Shown, IterableDataset[Sample]):
    """The samples of a streamed `datasets.IterableDataset`, in its own order.

    The stream itself shares its files among data loader workers; share them among ranks before with
    `datasets.distributed.split_dataset_by_node`.
    """

    def __init__(self, rows: Iterable[Row], names: Names | None = None, **options: Any) -> None:
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
        **options: Those of `ReadObjects`.

    Raises:
        MissingDependencyError: datasets is not installed.
        DataError: There is no such data set, or it has several splits and none is named.
    """
    splits = _load(path)
    if split:
        check_split(split, splits, Path(path))
    name = split or (next(iter(splits)) if len(splits) == 1 else None)
    if name is None:
        raise DataError(f"split is {split!r}; {path} has {', '.join(splits)}: name one of them.")
    return ObjectRows(splits[name], **options)


def _load(path: str | Path) -> Mapping[str, Rows]:
    """The splits of a data set by name."""
    try:
        import datasets
    except ImportError as error:
        raise MissingDependencyError('These rows need datasets: pip install "harmoclip[data]"') from error
    saved = any((Path(path) / name).is_file() for name in ("dataset_dict.json", "state.json"))
    with nullcontext() if Path(path).exists() else from_hub(str(path)):
        try:
            rows = datasets.load_from_disk(str(path)) if saved else datasets.load_dataset(str(path))
        except (OSError, ValueError) as error:
            raise DataError(
                f"datasets cannot load {path} ({error}): expected a folder of save_to_disk, files of rows, "
                "or a name on the Hub."
            ) from error
    return rows if isinstance(rows, Mapping) else {"train": rows}


def _reader(rows: object, names: Names | None, options: dict[str, Any]) -> ReadObjects:
    read = ReadObjects(names, **options)
    if names is None:
        found = _class_names((getattr(rows, "features", None) or {}).get(read.objects), read.category)
        read.names = None if found is None else with_synonyms(found)
    return read


def _class_names(objects: Any, category: str) -> list[str] | None:
    """The names of a ClassLabel in whichever way the feature nests lists and dictionaries."""
    while objects is not None and not isinstance(objects, Mapping):
        objects = objects[0] if isinstance(objects, list) else getattr(objects, "feature", None)
    label = objects and objects.get(category)
    label = getattr(label, "feature", label)
    return getattr(label, "names", None)


def _numbered(categories: Sequence[object]) -> bool:
    return all(isinstance(category, int) for category in categories)


def _image(value: object, key: str) -> Image.Image:
    if isinstance(value, Image.Image):
        return upright(value).convert("RGB")
    if isinstance(value, Mapping) and isinstance(value.get("bytes"), bytes):  # an Image column, not decoded
        return open_image(value["bytes"], f"of row {key}")
    if isinstance(value, torch.Tensor) and value.ndim == 3:  # what with_format("torch") makes of an Image
        value = value.permute(1, 2, 0).cpu().numpy()
    if isinstance(value, np.ndarray) and value.dtype == np.uint8 and value.ndim in (2, 3):
        return Image.fromarray(value.squeeze()).convert("RGB")
    raise DataError(
        f"row {key}: the image is a {type(value).__name__}: expected an Image column. Where rows.with_format "
        "made it something else, rows.with_format(None) gives it back."
    )


register_format("hugging_face", open_rows, passes_to=ReadObjects, signs=("dataset_*.json", "**/*.parquet"))
