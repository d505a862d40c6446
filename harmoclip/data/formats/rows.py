"""A sample as one JSON object: what JSON lines and shards hold.

- `caption`: text; empty, or left out beside boxes, where the image has none;
- `boxes`: a list of four numbers each, by default xyxy in [0, 1] of the image;
- `phrases`: `[start, end]` in characters of the caption, half-open; or the phrase's words where the caption
  has them once; or `{"text": ...}`, a text of its own; without this key a segmenter can find them;
- `links`: pairs `[box, phrase]`, counted from 0;
- `negatives`: pairs `[box, phrase]` that are known to be wrong;
- `more_captions`: further captions, the first ones of each row of one kind, and so on;
- `labels`: each box's class, as its number or, where the class names are known, as its name;
- `key`: a name for messages;
- `image_id`: a whole number or a name, equal for rows of the same image.

All but one of caption and boxes may be missing. Other keys are not read; one that looks like one of these,
misspelt, is an error.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from harmoclip.data.formats.boxes import BoxFormat, Unit, check_box_options, declared_boxes
from harmoclip.data.formats.entries import ID
from harmoclip.data.sample import Sample, SpanLike
from harmoclip.errors import DataError, unknown_name
from harmoclip.files import write_whole

Row = Mapping[str, Any]
SpanFinder = Callable[[str], Sequence[SpanLike]]
"""From a caption to the spans of its phrases, as a `CaptionSegmenter` does it."""
KEYS = ("caption", "boxes", "phrases", "links", "negatives", "more_captions", "labels", "key", "image_id")
"""What is read of a row, beside `image` of JSON lines, the image's file."""
_OTHER_WORDS = {
    "text": "caption",
    "bbox": "boxes",
    "bboxes": "boxes",
    "spans": "phrases",
    "classes": "labels",
    "categories": "labels",
}
"""What other layouts call a key."""
CLASS_NAMES = "class_names.txt"
"""The file beside rows that names their classes, one a line, in the order of their numbers."""


def parse_row(text: bytes, name: str) -> dict[str, Any]:
    """The JSON object that a text holds.

    Raises:
        DataError: It holds no JSON, or something else; the message begins with the name.
    """
    try:
        row = json.loads(text)
    except ValueError as error:
        raise DataError(f"{name} is not JSON: {error}.") from error
    if not isinstance(row, dict):
        raise DataError(f"{name} is {row!r:.60}: expected a JSON object.")
    return row


def to_row(sample: Sample) -> dict[str, object]:
    """All of a sample but its image; `from_row` reads it back.

    Example:
        >>> to_row(Sample(Image.new("RGB", (4, 4)), "a dog", phrases=((0, 5),), image_id=7))
        {'key': '', 'image_id': 7, 'caption': 'a dog', 'boxes': [], 'phrases': [[0, 5]], 'links': []}
    """
    row: dict[str, object] = {
        "key": sample.key,
        "image_id": sample.image_id,
        "caption": sample.caption,
        "boxes": sample.boxes.tolist(),
        "phrases": [
            {"text": phrase} if isinstance(phrase, str) else list(span)
            for phrase, span in zip(sample.phrases, sample.spans, strict=True)
        ],
        "links": [list(link) for link in sample.links],
    }
    if sample.negatives:
        row["negatives"] = [list(pair) for pair in sample.negatives]
    if sample.more_captions:
        row["more_captions"] = list(sample.more_captions)
    return row if sample.labels is None else {**row, "labels": sample.labels.tolist()}


def from_row(
    row: Row,
    image: Image.Image,
    *,
    segment: SpanFinder | None = None,
    box_format: BoxFormat = "xyxy",
    unit: Unit = "fraction",
    class_names: Sequence[str] = (),
    name: str = "",
) -> Sample:
    """The sample of a JSON object and its image.

    Boxes are cut at the edges of the image; those without an area in it are left out and counted.

    Args:
        row: With the keys listed above.
        image: The image.
        segment: Finds the phrases of a caption that comes without; None leaves it without.
        box_format: What a box's four numbers are.
        unit: Of boxes: a share of the image's size, or pixels of the image.
        class_names: Of each class, where they are known.
        name: Of the row, for messages, where it has no key.

    Raises:
        InputError: The box format or the unit is not known.
        DataError: A value is missing or impossible, a key is misspelt, or boxes are of another format or unit
            than is said; the message names the row.
    """
    check_box_options(box_format, unit)
    key = str(row.get("key") or name)
    where = f"sample {key!r}" if key == name or not name else f"sample {key!r} ({name})"
    _check_keys(row, where)
    caption = _caption(row, where)
    placed = declared_boxes(plain(row.get("boxes", [])), image.size, box_format, unit, where=where)
    phrases = _phrases(row, caption, segment, where)
    count = len(_list(row, "boxes", where))
    links, negatives = (_pairs(row, kind, count, len(phrases), where) for kind in ("link", "negative"))
    labels = _labels(row, count, class_names, where)
    return Sample(
        image=image,
        caption=caption,
        boxes=placed.boxes,
        phrases=phrases,
        links=placed.links(links),
        negatives=placed.links(negatives),
        more_captions=_more_captions(row, where),
        labels=None if labels is None else labels[placed.rows],
        key=key,
        image_id=_image_id(row, where),
        dropped=placed.dropped,
        left_out=placed.left_out,
        cut=placed.cut,
    )


def read_class_names(folder: Path) -> tuple[str, ...]:
    """The names of the classes that rows in a folder have; none where no file says them."""
    path = folder / CLASS_NAMES
    if not path.is_file():
        return ()
    return tuple(line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip())


def write_class_names(dataset: object, folder: Path) -> None:
    """Write the class names of a data set, if it has any, beside its rows.

    Raises:
        DataError: The folder has those of other rows.
    """
    names = tuple(getattr(dataset, "class_names", ()))
    known = read_class_names(folder)
    if known and names and names != known:
        raise DataError(
            f"{folder / CLASS_NAMES} names {len(known)} classes, such as {known[0]!r}, and these rows have "
            f"{len(names)}, such as {names[0]!r}: expected the same. Give another folder."
        )
    if names and not known:
        write_whole(folder / CLASS_NAMES, "".join(f"{name}\n" for name in names))


def plain(value: Any) -> Any:
    """Tensors and arrays in lists and dictionaries as the numbers and lists that they hold.

    Example:
        >>> plain({"bbox": torch.ones(1, 2), "category": [torch.tensor(3)]})
        {'bbox': [[1.0, 1.0]], 'category': [3]}
    """
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def image_id_of(row: Row) -> Any:
    """What a row says that rows of the same image share: its `image_id`, or else its image's file."""
    file = row.get("image")
    return row.get("image_id", file if isinstance(file, str) else None)


def _check_keys(row: Row, where: str) -> None:
    """A key that is not read is no error, but one that stands in the place of a key that is read."""
    for given in row:
        meant = _meant(given)
        if meant is not None and meant not in row:
            raise DataError(
                f"{where} has {given!r}, which is not read: did you mean {meant!r}? Rename it; if it is "
                "something else, leave it out or give it a name of its own."
            )


@lru_cache(1024)
def _meant(given: str) -> str | None:
    """The key that another name stands for, if it looks like one."""
    if given in (*KEYS, "image"):
        return None
    near = difflib.get_close_matches(given.lower(), KEYS, 1, 0.75)
    return near[0] if near else _OTHER_WORDS.get(given.lower())


def _caption(row: Row, where: str) -> str:
    """A row's caption; an image without one has boxes, or says so by an empty text."""
    caption = row.get("caption", "" if plain(row.get("boxes")) else None)
    if not isinstance(caption, str) or (caption and not caption.strip()):
        raise DataError(f'{where}: caption is {caption!r}: expected text, or "" for none.')
    return caption


def _list(row: Row, key: str, where: str) -> list[object]:
    value = plain(row.get(key, []))
    if not isinstance(value, list):
        raise DataError(f"{where}: {key} is {value!r:.80}: expected a list; leave it out for none.")
    return value


def _more_captions(row: Row, where: str) -> tuple[str, ...]:
    captions = _list(row, "more_captions", where)
    if not all(isinstance(caption, str) and caption.strip() for caption in captions):
        raise DataError(f"{where}: more_captions are {captions!r:.80}: expected texts.")
    return tuple(map(str, captions))


def _labels(row: Row, boxes: int, class_names: Sequence[str], where: str) -> torch.Tensor | None:
    if "labels" not in row:
        return None
    labels = _list(row, "labels", where)
    numbers = [_label(label, class_names, f"{where}: labels are {labels!r:.80}") for label in labels]
    if len(numbers) != boxes:
        raise DataError(f"{where}: {len(numbers)} labels for {boxes} boxes.")
    return torch.tensor(numbers, dtype=torch.int64)


def _label(label: object, class_names: Sequence[str], where: str) -> int:
    """The number of a class that a row has by number or by name."""
    if isinstance(label, str) and label in class_names:
        return class_names.index(label)
    if isinstance(label, str) and class_names:
        raise DataError(f"{where}: {unknown_name('a class is', label, class_names)}")
    if type(label) is not int:
        raise DataError(
            f"{where}: expected a whole number for each box, or its class's name with class_names= or a "
            f"{CLASS_NAMES} that says which number each name has."
        )
    if class_names and not 0 <= label < len(class_names):
        raise DataError(f"{where}: expected numbers from 0 to {len(class_names) - 1}.")
    return label


def _pairs(row: Row, kind: str, boxes: int, phrases: int, where: str) -> list[tuple[int, int]]:
    """The pairs (box, phrase) of a kind, `link` or `negative`, each of a box and a phrase that are there."""
    pairs = [_pair(pair, kind, where) for pair in _list(row, f"{kind}s", where)]
    for box, phrase in pairs:
        if not (0 <= box < boxes and 0 <= phrase < phrases):
            raise DataError(
                f"{where}: {kind} ({box}, {phrase}) points to nothing; there are {boxes} boxes and {phrases} "
                "phrases, counted from 0."
            )
    return pairs


def _phrases(
    row: Row, caption: str, segment: SpanFinder | None, where: str
) -> tuple[SpanLike | tuple[int, int] | str, ...]:
    """The phrases of a row, or those that a segmenter finds in the caption of one that has none."""
    if "phrases" in row:
        return tuple(_phrase(caption, phrase, where) for phrase in _list(row, "phrases", where))
    for given in ("links", "negatives"):
        if given in row:
            raise DataError(f"{where}: {given} without phrases point to nothing; give both or neither.")
    return tuple(segment(caption)) if segment is not None and caption else ()


def _phrase(caption: str, phrase: object, where: str) -> tuple[int, int] | str:
    """The span of a phrase in the caption, or a text of its own."""
    if isinstance(phrase, Mapping):
        text = phrase.get("text")
        if not isinstance(text, str) or not text.strip():
            raise DataError(f'{where}: phrase is {phrase!r}: expected {{"text": ...}} with some words.')
        return text
    if not isinstance(phrase, str):
        return _pair(phrase, "phrase", where)
    count = caption.count(phrase) if phrase else 0
    if count != 1:
        raise DataError(
            f"{where}: phrase {phrase!r} is {count} times in the caption {caption!r}: expected once. "
            'Give [start, end] in characters, or {"text": ...} for a text of its own.'
        )
    start = caption.index(phrase)
    return start, start + len(phrase)


def _pair(value: object, what: str, where: str) -> tuple[int, int]:
    if not isinstance(value, Sequence) or len(value) != 2 or not all(type(v) is int for v in value):
        raise DataError(f"{where}: {what} is {value!r}: expected two whole numbers.")
    return value[0], value[1]


def _image_id(row: Row, where: str) -> int | str | None:
    given: int | str | None = image_id_of(row)
    if given is not None and not ID.holds(given):
        raise DataError(f"{where}: image_id is {given!r:.80}: expected {ID.expected}.")
    return given
